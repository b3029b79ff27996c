//! The sessions of a server: where each lives, to which limits it counts, and which is evicted when there are too many.
//!
//! Each session counts towards the limits of the whole server, of its address and of its claims' subject, as far as these are
//! known. If one of the three limits is reached, the session under it that has been disconnected longest without holding anything
//! is evicted. A client is refused only if there is none.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::directory::{Begun, Owner, Owners, Recipients, SessionDirectory, WorkerIndex};
use crate::address::ClientAddress;
use crate::config::Limits;
use crate::ids::{IdHasher, SessionId};

/// A session that may be evicted.
#[derive(Debug)]
struct Spare {
    owners: Owners,
    /// Its position among the sessions that may be evicted.
    turn: u64,
}

/// All sessions of a server.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    homes: HashMap<SessionId, WorkerIndex, IdHasher>,
    /// The number of sessions of each address that has any.
    addresses: HashMap<ClientAddress, usize>,
    /// The sessions of each subject that has any.
    subjects: HashMap<Arc<str>, HashSet<SessionId, IdHasher>>,
    /// The sessions that may be evicted.
    spares: HashMap<SessionId, Spare, IdHasher>,
    /// The order in which they are evicted, for each of their owners.
    turns: BTreeMap<(Owner, u64), SessionId>,
    spared_ever: u64,
    /// How many things the application has sent each session that it has sent any.
    numbers: HashMap<SessionId, u64, IdHasher>,
}

impl SessionDirectory for Registry {
    fn begin(
        &mut self,
        id: SessionId,
        worker: WorkerIndex,
        owners: &Owners,
        limits: &Limits,
    ) -> Begun {
        let mut begun = Begun::default();
        for owner in owners.each() {
            if self.count(&owner) < most(&owner, limits) {
                continue;
            }
            match self.evict(&owner) {
                Some(gone) => begun.gone.push(gone),
                None => {
                    begun.full = Some(owner);
                    return begun;
                }
            }
        }
        if let Some(address) = owners.address {
            *self.addresses.entry(address).or_default() += 1;
        }
        if let Some(subject) = &owners.subject {
            let sessions = self.subjects.entry(subject.clone()).or_default();
            sessions.insert(id);
        }
        self.homes.insert(id, worker);
        begun
    }

    fn end(&mut self, id: SessionId, owners: &Owners) -> Option<WorkerIndex> {
        self.keep(id);
        let worker = self.homes.remove(&id)?;
        self.numbers.remove(&id);
        if let Some(address) = owners.address
            && let Some(count) = self.addresses.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&address);
            }
        }
        if let Some(subject) = &owners.subject
            && let Some(sessions) = self.subjects.get_mut(subject)
        {
            sessions.remove(&id);
            if sessions.is_empty() {
                self.subjects.remove(subject);
            }
        }
        Some(worker)
    }

    fn spare(&mut self, id: SessionId, owners: &Owners) {
        if !self.keep(id) {
            return;
        }
        self.spared_ever += 1;
        let (owners, turn) = (owners.clone(), self.spared_ever);
        for owner in owners.each() {
            self.turns.insert((owner, turn), id);
        }
        self.spares.insert(id, Spare { owners, turn });
    }

    fn keep(&mut self, id: SessionId) -> bool {
        if let Some(Spare { owners, turn }) = self.spares.remove(&id) {
            for owner in owners.each() {
                self.turns.remove(&(owner, turn));
            }
        }
        self.homes.contains_key(&id)
    }

    fn home(&self, id: SessionId) -> Option<WorkerIndex> {
        self.homes.get(&id).copied()
    }

    fn relocate(&mut self, id: SessionId, from: WorkerIndex, to: WorkerIndex) -> bool {
        match self.homes.get_mut(&id) {
            Some(home) if *home == from => {
                *home = to;
                true
            }
            _ => false,
        }
    }

    fn find(&self, recipients: &Recipients) -> Vec<(SessionId, WorkerIndex)> {
        let at_home = |id: &SessionId| Some((*id, self.home(*id)?));
        match recipients {
            Recipients::OfSubject(subject) => {
                let sessions = self.subjects.get(subject).into_iter().flatten();
                sessions.filter_map(at_home).collect()
            }
            Recipients::OneOfSubject(subject, id) => {
                let sessions = self.subjects.get(subject);
                let id = sessions.and_then(|sessions| sessions.get(id));
                id.and_then(at_home).into_iter().collect()
            }
            Recipients::Session(id) => at_home(id).into_iter().collect(),
        }
    }

    fn number(&mut self, id: SessionId) -> u64 {
        let next = self.numbers.entry(id).or_default();
        *next += 1;
        *next - 1
    }

    fn len(&self) -> usize {
        self.homes.len()
    }
}

impl Registry {
    fn count(&self, owner: &Owner) -> usize {
        match owner {
            Owner::Server => self.homes.len(),
            Owner::Address(address) => self.addresses.get(address).copied().unwrap_or(0),
            Owner::Subject(subject) => self.subjects.get(subject).map_or(0, HashSet::len),
        }
    }

    /// Evicts the session of this owner that may be evicted for longest, if there is one.
    fn evict(&mut self, owner: &Owner) -> Option<(SessionId, WorkerIndex)> {
        let from = (owner.clone(), 0);
        let (key, id) = self.turns.range(from..).next()?;
        let id = (key.0 == *owner).then_some(*id)?;
        let owners = self.spares.get(&id)?.owners.clone();
        let worker = self.end(id, &owners)?;
        Some((id, worker))
    }
}

fn most(owner: &Owner, limits: &Limits) -> usize {
    match owner {
        Owner::Server => limits.sessions,
        Owner::Address(_) => limits.sessions_per_address,
        Owner::Subject(_) => limits.sessions_per_subject,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::address::ClientAddress;
    use crate::config::Config;

    fn limits() -> Limits {
        let mut limits = Config::default().limits;
        limits.sessions = 6;
        limits.sessions_per_address = 4;
        limits.sessions_per_subject = 2;
        limits
    }

    fn address(number: u8) -> Option<ClientAddress> {
        Some(ClientAddress::new(Ipv4Addr::new(192, 0, 2, number).into()))
    }

    fn subject(number: u8) -> Option<Arc<str>> {
        Some(Arc::from(format!("user-{number}")))
    }

    /// Zero means unknown.
    fn owners(a: u8, s: u8) -> Owners {
        Owners {
            address: address(a).filter(|_| a > 0),
            subject: subject(s).filter(|_| s > 0),
        }
    }

    #[test]
    fn the_one_that_has_been_gone_for_longest_makes_room() {
        let mut registry = Registry::default();
        let ids: Vec<_> = (0..5).map(|_| SessionId::random()).collect();
        for id in &ids[..4] {
            let begun = registry.begin(*id, 3, &owners(1, 0), &limits());
            assert_eq!(begun, Begun::default());
        }
        let refused = registry.begin(ids[4], 3, &owners(1, 0), &limits());
        assert_eq!(refused.full, Some(Owner::Address(address(1).unwrap())));
        registry.spare(ids[2], &owners(1, 0));
        registry.spare(ids[1], &owners(1, 0));
        registry.spare(ids[2], &owners(1, 0));
        assert!(registry.keep(ids[1]));
        registry.spare(ids[1], &owners(1, 0));
        let begun = registry.begin(ids[4], 3, &owners(1, 0), &limits());
        assert_eq!(begun.gone, [(ids[2], 3)]);
        assert_eq!(begun.full, None);
        assert!(!registry.keep(ids[2]), "it has gone");
        assert_eq!(registry.home(ids[2]), None);
        assert_eq!(registry.len(), 4);
    }

    #[test]
    fn one_address_or_subject_leaves_room_for_others() {
        let mut registry = Registry::default();
        let mut begin = |who, subject| {
            let id = SessionId::random();
            let owners = owners(who, subject);
            registry.begin(id, 0, &owners, &limits()).full
        };
        let full = (0..10).filter_map(|_| begin(1, 0)).count();
        assert_eq!(full, 6);
        assert_eq!(begin(2, 1), None);
        assert_eq!(begin(2, 1), None);
        let met = begin(3, 1);
        assert_eq!(met, subject(1).map(Owner::Subject));
        assert_eq!(begin(3, 2), Some(Owner::Server));
    }

    /// Of two workers that want a session, one gets it; a session that was evicted moves nowhere.
    #[test]
    fn a_session_moves_only_from_where_it_lives() {
        let mut registry = Registry::default();
        let id = SessionId::random();
        registry.begin(id, 0, &owners(0, 0), &limits());
        assert!(registry.relocate(id, 0, 1));
        assert!(!registry.relocate(id, 0, 2), "it lives elsewhere now");
        assert_eq!(registry.home(id), Some(1));
        registry.end(id, &owners(0, 0));
        assert!(!registry.relocate(id, 1, 2));
        assert_eq!(registry.home(id), None);
    }

    #[test]
    fn one_session_is_found_by_its_id_and_among_its_subject_s() {
        let mut registry = Registry::default();
        let (ann, guest) = (SessionId::random(), SessionId::random());
        registry.begin(ann, 1, &owners(0, 1), &limits());
        registry.begin(guest, 2, &owners(0, 0), &limits());
        let of = |user| move |id| Recipients::OneOfSubject(subject(user).unwrap(), id);
        assert_eq!(registry.find(&of(1)(ann)), [(ann, 1)]);
        assert_eq!(registry.find(&of(1)(guest)), []);
        assert_eq!(registry.find(&of(2)(ann)), []);
        assert_eq!(registry.find(&Recipients::Session(guest)), [(guest, 2)]);
        assert_eq!([0; 3].map(|_| registry.number(ann)), [0, 1, 2]);
        assert_eq!(registry.number(guest), 0);
        registry.end(ann, &owners(0, 1));
        assert_eq!(registry.find(&Recipients::Session(ann)), []);
        assert_eq!(registry.numbers.len(), 1, "nothing is left of it");
    }

    #[derive(Clone, Debug)]
    enum Step {
        Begin(u8, u8),
        End(usize),
        Spare(usize),
        Keep(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0..4_u8, 0..4_u8).prop_map(|(a, s)| Step::Begin(a, s)),
            1 => (0..40_usize).prop_map(Step::End),
            3 => (0..40_usize).prop_map(Step::Spare),
            1 => (0..40_usize).prop_map(Step::Keep),
        ];
        proptest::collection::vec(step, 0..80)
    }

    proptest! {
        /// Compared with a simple list: no limit is ever exceeded, and no client is refused while a session could be evicted.
        #[test]
        fn no_bound_is_passed_and_nobody_is_refused_in_vain(steps in steps()) {
            let (mut registry, limits) = (Registry::default(), limits());
            let mut model: Vec<(SessionId, u8, u8)> = Vec::new();
            let mut spare: BTreeSet<usize> = BTreeSet::new();
            let mut ever = Vec::new();
            let place = |ever: &[(SessionId, Owners)], id: SessionId| ever.iter().position(|(e, _)| *e == id).unwrap();
            for step in steps {
                match step {
                    Step::Begin(a, s) => {
                        let id = SessionId::random();
                        let begun = registry.begin(id, 0, &owners(a, s), &limits);
                        for (gone, _) in &begun.gone {
                            prop_assert!(spare.remove(&place(&ever, *gone)), "it was of use");
                            model.retain(|(id, ..)| id != gone);
                        }
                        match &begun.full {
                            None => {
                                ever.push((id, owners(a, s)));
                                model.push((id, a, s));
                            }
                            Some(full) => {
                                let is_of = |(id, at, of): &&(SessionId, u8, u8)| {
                                    let counts = match full {
                                        Owner::Server => true,
                                        Owner::Address(_) => *at == a,
                                        Owner::Subject(_) => *of == s,
                                    };
                                    counts && spare.contains(&place(&ever, *id))
                                };
                                prop_assert!(model.iter().find(is_of).is_none(), "one could have gone");
                            }
                        }
                    }
                    Step::End(n) => if let Some((id, owners)) = ever.get(n) {
                        let was = model.iter().any(|(known, ..)| known == id);
                        prop_assert_eq!(registry.end(*id, owners).is_some(), was);
                        model.retain(|(known, ..)| known != id);
                        spare.remove(&n);
                    },
                    Step::Spare(n) => if let Some((id, owners)) = ever.get(n) {
                        registry.spare(*id, owners);
                        if model.iter().any(|(known, ..)| known == id) {
                            spare.insert(n);
                        }
                    },
                    Step::Keep(n) => if let Some((id, _)) = ever.get(n) {
                        let is = model.iter().any(|(known, ..)| known == id);
                        prop_assert_eq!(registry.keep(*id), is);
                        spare.remove(&n);
                    },
                }
                prop_assert_eq!(registry.len(), model.len());
                prop_assert!(registry.len() <= limits.sessions);
                for n in 1..4 {
                    prop_assert!(model.iter().filter(|(_, a, _)| *a == n).count() <= limits.sessions_per_address);
                    let of_subject = model.iter().filter(|(.., s)| *s == n).map(|(id, ..)| (*id, 0));
                    let of_subject: BTreeSet<_> = of_subject.collect();
                    prop_assert!(of_subject.len() <= limits.sessions_per_subject);
                    let known = registry.find(&Recipients::OfSubject(subject(n).unwrap()));
                    prop_assert_eq!(known.into_iter().collect::<BTreeSet<_>>(), of_subject);
                }
            }
            for (id, a, s) in &model {
                registry.end(*id, &owners(*a, *s));
            }
            prop_assert!(registry.addresses.is_empty() && registry.subjects.is_empty() && registry.turns.is_empty() && registry.spares.is_empty());
        }
    }
}
