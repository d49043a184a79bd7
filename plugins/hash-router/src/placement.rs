//! Placements: from the hash of a key to the order in which that key prefers members.
//!
//! Each is built once per membership, on an instance that does not serve, and gives for a hash an [`Order`]: every member
//! exactly once. A member that cannot be used is passed over by whoever reads the order; nothing is rebuilt, so no other
//! key moves. Taking the first of an order allocates nothing.

pub mod ketama;
pub mod ketama_nginx;
pub mod maglev;
mod member;
pub mod modulo;
pub mod rendezvous;
mod ring;
mod seen;

pub use member::Member;

use maglev::{Maglev, TableSize};
use modulo::Modulo;
use rendezvous::Rendezvous;
use ring::Ring;
use seen::Seen;

/// Which placement, with what it alone needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Maglev hashing.
    Maglev(TableSize),
    /// libketama's ring.
    Ketama,
    /// nginx's ring.
    KetamaNginx,
    /// Weighted rendezvous hashing.
    Rendezvous,
    /// The remainder of the hash.
    Modulo,
}

/// Members, laid out.
#[derive(Debug)]
pub struct Placement {
    layout: Layout,
    members: usize,
}

#[derive(Debug)]
enum Layout {
    Maglev(Maglev),
    Ring(Ring),
    Rendezvous(Rendezvous),
    Modulo(Modulo),
}

/// Most members an upstream can have here: tables hold two bytes per entry, and one value means none.
const MAX_MEMBERS: usize = 65_535;

impl Placement {
    /// Lays out members. Indices in an [`Order`] are positions in this list, but where a key goes does not depend on them.
    ///
    /// Fails with a text for the operator when the members do not fit: more of them than a table has entries, or weights
    /// that would make a ring of more than 1.6 million points.
    pub fn build(kind: Kind, members: &[Member]) -> Result<Self, String> {
        if members.len() > MAX_MEMBERS {
            return Err(format!("{} endpoints are too many for hash-router: at most {MAX_MEMBERS}", members.len()));
        }
        let layout = match kind {
            Kind::Maglev(size) => Layout::Maglev(Maglev::build(members, size)?),
            Kind::Ketama => Layout::Ring(ketama::build(members)?),
            Kind::KetamaNginx => Layout::Ring(ketama_nginx::build(members)?),
            Kind::Rendezvous => Layout::Rendezvous(Rendezvous::build(members)),
            Kind::Modulo => Layout::Modulo(Modulo::build(members)),
        };
        Ok(Self { layout, members: members.len() })
    }

    /// Members in the order a key with this hash prefers them.
    pub fn order(&self, hash: u64) -> Order<'_> {
        let walk = match &self.layout {
            Layout::Maglev(maglev) => Walk::Cells { cells: maglev.cells(), next: maglev.start(hash) },
            Layout::Ring(ring) => Walk::Cells { cells: ring.owners(), next: ring.start(hash) },
            Layout::Rendezvous(rendezvous) => Walk::Rendezvous(rendezvous.scores(hash)),
            Layout::Modulo(modulo) => Walk::Modulo(modulo.draws(hash)),
        };
        Order { walk, members: self.members, given: 0, last: None, seen: Seen::default() }
    }
}

/// Indices of members, most preferred first, each once.
#[derive(Debug)]
pub struct Order<'a> {
    walk: Walk<'a>,
    members: usize,
    given: usize,
    /// The last index given; it enters `seen` only when another is asked for, which most callers never do.
    last: Option<usize>,
    seen: Seen,
}

#[derive(Debug)]
enum Walk<'a> {
    /// Tables and rings: from where the key falls on to the following cells, round and round.
    Cells {
        cells: &'a [u16],
        next: usize,
    },
    Rendezvous(rendezvous::Scores<'a>),
    Modulo(modulo::Draws<'a>),
}

impl Iterator for Order<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.given == self.members {
            return None;
        }
        if let Some(last) = self.last {
            self.seen.insert(last, self.members);
        }
        let member = match &mut self.walk {
            Walk::Cells { cells, next } => cell(cells, next, &self.seen).or_else(|| {
                // Nor will another round find one: who is left has none.
                *cells = &[];
                self.seen.first_absent(self.members)
            }),
            Walk::Rendezvous(scores) => scores.next(),
            Walk::Modulo(draws) => draws.next(&self.seen),
        }?;
        self.given += 1;
        self.last = Some(member);
        Some(member)
    }
}

/// The next cell of a member not seen before. `None` after one whole round: a member may have no cell at all.
fn cell(cells: &[u16], next: &mut usize, seen: &Seen) -> Option<usize> {
    for _ in 0..cells.len() {
        let member = cells.get(*next).copied().map(usize::from)?;
        *next = if *next + 1 == cells.len() { 0 } else { *next + 1 };
        if !seen.contains(member) {
            return Some(member);
        }
    }
    None
}

#[cfg(test)]
mod tests;
