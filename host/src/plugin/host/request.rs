//! `request`: the exchange of the hook that is running.

use std::time::UNIX_EPOCH;

use wasmtime::Result;
use wasmtime::component::Resource;

use super::{all, every, first, header_line, header_name, only};
use crate::exchange::{Exchange, TlsFacts};
use crate::plugin::bindings::plugway::gateway::request::{ChangeError, HeaderLine, HeaderName, Host, Value};
use crate::plugin::guest::{Guest, IdentityHandle};

type Changed = Result<std::result::Result<(), ChangeError>>;

impl Guest {
    fn tls(&mut self) -> Result<Option<&TlsFacts>> {
        Ok(self.exchange()?.connection.tls.as_ref())
    }
}

impl Host for Guest {
    fn method(&mut self) -> Result<String> {
        Ok(self.exchange()?.request.method.as_str().to_owned())
    }

    fn scheme(&mut self) -> Result<String> {
        Ok(self.exchange()?.request.scheme().to_owned())
    }

    fn authority(&mut self) -> Result<String> {
        Ok(self.exchange()?.request.authority.to_string())
    }

    fn path(&mut self) -> Result<String> {
        Ok(self.exchange()?.request.path().to_owned())
    }

    fn raw_path(&mut self) -> Result<String> {
        Ok(self.exchange()?.request.raw_path().to_owned())
    }

    fn query(&mut self) -> Result<Option<String>> {
        Ok(self.exchange()?.request.query().map(str::to_owned))
    }

    fn query_parameter(&mut self, name: String) -> Result<Option<String>> {
        Ok(self.exchange()?.request.query_parameter(&name))
    }

    fn path_parameter(&mut self, name: String) -> Result<Option<String>> {
        let found = self.exchange()?.parameters.iter().find(|(known, _)| **known == *name);
        Ok(found.map(|(_, segment)| String::from_utf8_lossy(&crate::http::path::decode_segment(segment)).into_owned()))
    }

    fn header(&mut self, name: HeaderName) -> Result<Option<Vec<u8>>> {
        let (exchange, names) = self.exchange_and_names()?;
        Ok(first(&exchange.request.headers, names, &name))
    }

    fn header_values(&mut self, name: HeaderName) -> Result<Vec<Vec<u8>>> {
        let (exchange, names) = self.exchange_and_names()?;
        Ok(every(&exchange.request.headers, names, &name))
    }

    fn only_header(&mut self, name: HeaderName) -> Result<std::result::Result<Option<Vec<u8>>, ()>> {
        let (exchange, names) = self.exchange_and_names()?;
        Ok(only(&exchange.request.headers, names, &name))
    }

    fn headers(&mut self) -> Result<Vec<HeaderLine>> {
        Ok(all(&self.exchange()?.request.headers))
    }

    fn set_header(&mut self, name: HeaderName, value: Vec<u8>) -> Changed {
        let (phase, limits) = (self.phase, self.limits);
        Ok(self.change_exchange(|exchange, names| {
            let (name, value) = header_line(names, &name, value)?;
            Ok(exchange.set_header(phase, &limits, name, value)?)
        }))
    }

    fn set_line(&mut self, line: u16) -> Changed {
        Ok(self.write_line(line, Exchange::set_line))
    }

    fn append_header(&mut self, name: HeaderName, value: Vec<u8>) -> Changed {
        let (phase, limits) = (self.phase, self.limits);
        Ok(self.change_exchange(|exchange, names| {
            let (name, value) = header_line(names, &name, value)?;
            Ok(exchange.append_header(phase, &limits, name, value)?)
        }))
    }

    fn remove_header(&mut self, name: HeaderName) -> Changed {
        let phase = self.phase;
        Ok(self.change_exchange(|exchange, names| match header_name(names, &name) {
            Some(name) => Ok(exchange.remove_header(phase, &name)?),
            None => Err(ChangeError::Invalid("not a header name".into())),
        }))
    }

    fn set_method(&mut self, method: String) -> Changed {
        let phase = self.phase;
        Ok(self.change_exchange(|exchange, _| Ok(exchange.set_method(phase, &method)?)))
    }

    fn set_path(&mut self, path: String) -> Changed {
        let phase = self.phase;
        Ok(self.change_exchange(|exchange, _| Ok(exchange.set_path(phase, path)?)))
    }

    fn set_query(&mut self, query: Option<String>) -> Changed {
        let phase = self.phase;
        Ok(self.change_exchange(|exchange, _| Ok(exchange.set_query(phase, query)?)))
    }

    fn append_response_header(&mut self, name: HeaderName, value: Vec<u8>) -> Changed {
        let (phase, limits) = (self.phase, self.limits);
        Ok(self.change_exchange(|exchange, names| {
            let (name, value) = header_line(names, &name, value)?;
            Ok(exchange.leave_response_header(phase, &limits, name, value)?)
        }))
    }

    fn peer_address(&mut self) -> Result<String> {
        Ok(self.exchange()?.connection.peer.ip().to_string())
    }

    fn client_address(&mut self) -> Result<String> {
        Ok(self.exchange()?.client.to_string())
    }

    fn tls_version(&mut self) -> Result<Option<String>> {
        Ok(self.tls()?.map(|tls| tls.version.to_owned()))
    }

    fn tls_server_name(&mut self) -> Result<Option<String>> {
        Ok(self.tls()?.and_then(|tls| tls.server_name.clone()))
    }

    fn tls_alpn(&mut self) -> Result<Option<String>> {
        Ok(self.tls()?.and_then(|tls| tls.alpn).map(str::to_owned))
    }

    fn client_certificate(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(self.tls()?.and_then(|tls| tls.client_certificate.clone()))
    }

    fn client_certificate_sha256(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(self.tls()?.and_then(TlsFacts::client_certificate_sha256).map(|sum| sum.to_vec()))
    }

    fn id(&mut self) -> Result<String> {
        Ok(String::from_utf8_lossy(self.exchange()?.id.as_bytes()).into_owned())
    }

    fn trace_parent(&mut self) -> Result<String> {
        Ok(String::from_utf8_lossy(self.exchange()?.trace_parent.as_bytes()).into_owned())
    }

    fn received_at(&mut self) -> Result<u64> {
        let since = self.exchange()?.received_at().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    fn route(&mut self) -> Result<String> {
        Ok(self.exchange()?.route.name.to_string())
    }

    fn api(&mut self) -> Result<Option<String>> {
        Ok(self.exchange()?.route.api.as_deref().map(str::to_owned))
    }

    fn api_version(&mut self) -> Result<Option<String>> {
        Ok(self.exchange()?.route.version.as_deref().map(str::to_owned))
    }

    fn caller(&mut self) -> Result<Option<Resource<IdentityHandle>>> {
        let Some(identity) = self.exchange()?.identity.clone() else { return Ok(None) };
        let handle = self.wasi.table.push(IdentityHandle { identity, too_large: None })?;
        Ok(Some(handle))
    }

    fn optional_caller(&mut self) -> Result<Option<Resource<IdentityHandle>>> {
        Host::caller(self)
    }

    fn attribute(&mut self, plugin: String, name: String) -> Result<Option<Value>> {
        let own = std::sync::Arc::clone(&self.name);
        let plugin = if plugin.is_empty() { &*own } else { plugin.as_str() };
        Ok(self.exchange()?.attributes.get(plugin, &name).map(Value::from))
    }

    fn set_attribute(&mut self, name: String, value: Value) -> Changed {
        let limits = self.limits;
        let plugin = std::sync::Arc::clone(&self.name);
        Ok(self.change_exchange(|exchange, _| Ok(exchange.set_attribute(&limits, &plugin, &name, value.into())?)))
    }
}
