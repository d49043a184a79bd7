//! What is different between two versions of a plugin, as an operator who lets the new one in wants to know it.

use serde_json::{Value, json};

use super::Inspected;

/// From the old one to the new one.
pub(super) struct Difference<'a> {
    old: &'a Inspected,
    new: &'a Inspected,
}

/// Names that came, and names that went.
struct Change<'a> {
    gained: Vec<&'a str>,
    lost: Vec<&'a str>,
}

impl<'a> Difference<'a> {
    pub(super) fn between(old: &'a Inspected, new: &'a Inspected) -> Self {
        Self { old, new }
    }

    /// Whether hooks, rights and contract are the same. Size and toolchain change with every build and are no difference.
    pub(super) fn is_none(&self) -> bool {
        self.hooks().is_none() && self.capabilities().is_none() && self.contract().is_none() && !self.identity_changed()
    }

    fn hooks(&self) -> Change<'static> {
        Change::between(&self.old.hooks(), &self.new.hooks())
    }

    fn capabilities(&self) -> Change<'a> {
        Change::between(self.old.capabilities(), self.new.capabilities())
    }

    fn contract(&self) -> Change<'a> {
        let of = |inspected: &'a Inspected| inspected.versions("plugway:gateway/").into_iter().collect::<Vec<_>>();
        Change::between(&of(self.old), &of(self.new))
    }

    fn identity_changed(&self) -> bool {
        self.old.reads_identity() != self.new.reads_identity()
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!("{} against {}\n", self.new.source, self.old.source);
        let mut line = |label: &str, value: String| text.push_str(&format!("  {label:<13} {value}\n"));
        let Self { old, new } = self;
        if self.is_none() {
            line("rights", "the same".to_owned());
        }
        for capability in self.capabilities().gained {
            line("capabilities", format!("now also wants {capability}"));
        }
        for capability in self.capabilities().lost {
            line("capabilities", format!("no longer wants {capability}"));
        }
        if self.identity_changed() {
            line("identity", format!("{} asks who is calling", if new.reads_identity() { "now" } else { "no longer" }));
        }
        for hook in self.hooks().gained {
            line("hooks", format!("now also has {hook}"));
        }
        for hook in self.hooks().lost {
            line("hooks", format!("no longer has {hook}"));
        }
        if !self.contract().is_none() {
            let of = |inspected: &Inspected| super::joined(inspected.versions("plugway:gateway/"));
            line("contract", format!("{} before, now {}", of(old), of(new)));
        }
        if old.made_by() != new.made_by() {
            line("built with", format!("{} before, now {}", old.made_by(), new.made_by()));
        }
        line("size", format!("{} bytes before, now {}", old.size, new.size));
        line(
            "digest",
            if old.digest == new.digest {
                "the same".to_owned()
            } else {
                format!("sha256:{} before, now sha256:{}", old.digest, new.digest)
            },
        );
        line("signature", new.signed.text());
        if let Some(grants) = new.grants().filter(|_| !self.capabilities().is_none()) {
            line("to load it", format!("{grants} in [plugins.NAME]"));
        }
        for (why, help) in new.refusals() {
            text.push_str(&format!("this gateway would not load it: {why}\n    help: {help}\n"));
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        let change = |change: Change<'_>| json!({ "gained": change.gained, "lost": change.lost });
        json!({
            "same_rights": self.is_none(),
            "hooks": change(self.hooks()),
            "capabilities": change(self.capabilities()),
            "contract": change(self.contract()),
            "reads_identity_changed": self.identity_changed(),
        })
    }
}

impl<'a> Change<'a> {
    fn between(old: &[&'a str], new: &[&'a str]) -> Self {
        let without = |these: &[&'a str], those: &[&'a str]| these.iter().copied().filter(|name| !those.contains(name)).collect();
        Self { gained: without(new, old), lost: without(old, new) }
    }

    fn is_none(&self) -> bool {
        self.gained.is_empty() && self.lost.is_empty()
    }
}
