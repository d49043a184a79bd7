//! `[listen.NAME]` and `[admin]`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};

use super::{Compiler, items};
use crate::config::defaults;
use crate::config::document::At;
use crate::config::model::{CertificateFiles, ClientAuth, Config, Listener, ListenerTls};
use crate::config::schema::{self, ClientAuthMode};

/// Stands for an address that is wrong.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

impl Compiler<'_> {
    pub(super) fn listeners(&mut self, raw: BTreeMap<String, schema::Listener>) -> Vec<Listener> {
        let section = At::default().key("listen");
        if self.declared.listeners == 0 {
            self.error(
                &section,
                "there is no listener, so nobody could send a request",
                "write `[listen.web]` and under it `address = \"0.0.0.0:8443\"`",
            );
        }
        let mut listeners = Vec::with_capacity(raw.len());
        for (name, raw) in raw {
            let at = section.key(&name);
            self.name(&at, "a listener", &name);
            let address = raw.address.and_then(|address| self.address(&at.key("address"), &address)).unwrap_or(NOWHERE);
            let tls = raw.tls.map(|tls| self.listener_tls(&at.key("tls"), tls));
            listeners.push(Listener { name, address, tls });
        }
        listeners
    }

    fn listener_tls(&mut self, at: &At, raw: schema::ListenerTls) -> ListenerTls {
        let certificates = self.certificates(at, &raw);
        let client_auth = match raw.client_auth {
            None | Some(schema::ClientAuth::Word(_)) => ClientAuth::None,
            Some(schema::ClientAuth::Rule(rule)) => {
                let ca = self.path(&at.key("client_auth").key("ca"), &rule.ca);
                match rule.mode {
                    ClientAuthMode::Optional => ClientAuth::Optional { ca },
                    ClientAuthMode::Required => ClientAuth::Required { ca },
                }
            }
        };
        ListenerTls { certificates, client_auth, http2: raw.http2.unwrap_or(defaults::LISTENER_HTTP2) }
    }

    fn certificates(&mut self, at: &At, raw: &schema::ListenerTls) -> Vec<CertificateFiles> {
        // Asked of the file, not of what is left of it: a value of the wrong type has been reported and is not missing.
        let [certificate, key, several] = ["certificate", "key", "certificates"].map(|key| self.places.has(&at.key(key)));
        let example = "write `certificate = \"certs/web.pem\"` and `key = \"certs/web.key\"`";
        match (certificate, key, several) {
            (false, false, false) => self.error(at, "TLS needs a certificate", example),
            (true, false, _) => {
                self.error(at, "`key` is missing", "name the PEM file of the certificate's private key: `key = \"certs/web.key\"`")
            }
            (false, true, _) => self.error(
                at,
                "`certificate` is missing",
                "name the PEM file of the key's certificate chain: `certificate = \"certs/web.pem\"`",
            ),
            (true, true, true) => {
                self.error(
                    &at.key("certificates"),
                    "`certificate` and `certificates` are both there",
                    "put every certificate into `certificates`, the default one first",
                );
            }
            _ => {}
        }
        if let (Some(certificate), Some(key)) = (&raw.certificate, &raw.key) {
            let files = schema::CertificateFiles { certificate: certificate.clone(), key: key.clone() };
            return vec![self.certificate_files(at, &files)];
        }
        let list = raw.certificates.iter().flatten().enumerate();
        list.filter_map(|(index, files)| Some(self.certificate_files(&at.key("certificates").index(index), files.as_ref()?))).collect()
    }

    pub(super) fn admin(&mut self, raw: schema::Admin) -> Option<SocketAddr> {
        let at = At::default().key("admin").key("address");
        let address = match raw.address {
            Some(text) => self.address(&at, &text)?,
            None => defaults::ADMIN_ADDRESS,
        };
        if !raw.enabled.unwrap_or(true) {
            return None;
        }
        if !address.ip().is_loopback() {
            let message = format!("{address} can be reached from other machines, and the admin listener asks nobody who they are");
            self.warn(&at, message, format!("write `127.0.0.1:{}`, or see that a firewall stands before it", address.port()));
        }
        Some(address)
    }

    /// Two sockets on one address: the second would fail to open, or take requests that were meant for the first.
    pub(super) fn check_addresses(&mut self, config: &Config) {
        let listen = At::default().key("listen");
        let mut taken: Vec<(SocketAddr, At)> = Vec::new();
        let named = config.listeners.iter().map(|listener| (listener.address, listen.key(&listener.name)));
        // Its own first: it may not be in the file, and then there is no place to show.
        let admin = config.admin.map(|address| (address, At::default().key("admin")));
        let all: Vec<_> = admin.into_iter().chain(named).collect();
        for (address, at) in all.into_iter().filter(|(address, _)| address.port() != 0) {
            match taken.iter().find(|(known, _)| overlap(*known, address)) {
                Some((known, first)) => {
                    let mut message = format!("`{first}` listens on {known} already");
                    if *known != address {
                        message.push_str(&format!(", and {address} overlaps it"));
                    }
                    let own = at.key("address");
                    let place = if self.places.has(&own) { own } else { at };
                    self.error(&place, message, "give each its own port");
                }
                None => taken.push((address, at)),
            }
        }
    }

    pub(super) fn trusted_proxies(&mut self, raw: schema::List<String>) -> Vec<IpNet> {
        let networks = self.networks(&At::default().key("trusted_proxies"), raw);
        for (at, _) in networks.iter().filter(|(_, network)| network.prefix_len() == 0) {
            self.warn(
                at,
                "every client is believed to be a trusted proxy, so each can claim any address",
                "name the networks of your proxies only",
            );
        }
        networks.into_iter().map(|(_, network)| network).collect()
    }

    /// Addresses and networks of addresses, with their places.
    pub(super) fn networks(&mut self, at: &At, raw: schema::List<String>) -> Vec<(At, IpNet)> {
        let mut networks = Vec::with_capacity(raw.len());
        for (at, text) in items(raw, at) {
            let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
            let Some(network) = network else {
                self.error(
                    &at,
                    format!("{text:?} is no network"),
                    "write an IP address or a network, such as `10.0.0.1`, `10.0.0.0/8` or `fd00::/8`",
                );
                continue;
            };
            if network.prefix_len() > 0 && network.addr() != network.network() {
                self.warn(&at, format!("{text} has bits behind its prefix"), format!("{} is used: write it so", network.trunc()));
            }
            networks.push((at, plain(network.trunc())));
        }
        networks
    }
}

/// IPv4 written as IPv6: addresses are compared as what they are.
fn plain(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else { return network };
    let (address, length) = (mapped.addr().to_ipv4_mapped(), mapped.prefix_len().checked_sub(96));
    let net = address.zip(length).and_then(|(address, length)| Ipv4Net::new(address, length).ok());
    net.map_or(network, IpNet::V4)
}

/// Whether the system gives only one of them to a socket that listens: they are the same, or one of them is every address. That of version 6 stands for
/// those of version 4 as well.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let plain = |address: SocketAddr| match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::from((ip, address.port())),
        IpAddr::V6(_) => address,
    };
    let (one, other) = (plain(one), plain(other));
    let takes_in = |all: SocketAddr, own: SocketAddr| all.ip().is_unspecified() && (all.is_ipv6() || own.is_ipv4());
    one == other || one.port() == other.port() && (takes_in(one, other) || takes_in(other, one))
}
