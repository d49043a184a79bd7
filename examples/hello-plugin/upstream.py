"""An upstream that answers with the greeting it was sent."""

from http.server import BaseHTTPRequestHandler, HTTPServer


class Greeted(BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{self.headers['x-hello']}\n".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


HTTPServer(("127.0.0.1", 9450), Greeted).serve_forever()
