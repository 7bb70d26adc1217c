//! A shim around raft-rs, TiKV's raft, with pre-vote, check-quorum and linearizable reads; names are n1, n2, ...
//! Its MemStorage keeps no data in a snapshot, so nothing is compacted.
use protobuf::Message as _;
use raft::{eraftpb::*, storage::MemStorage, Config, GetEntriesContext, RawNode, ReadState, StateRole, Storage};
use std::collections::HashSet;
#[path = "../../../../spec/oneleader/conformance/scaffolds/rust/src/lines.rs.in"]
mod lines; // of the scaffold
use lines::{quoted, serve, Answer, Request};

struct Server {
    id: u64,
    raft: Option<RawNode<MemStorage>>, // None when down
    disk: MemStorage,
    value: Option<String>, // of the register, the whole state machine
    applied: u64,
    proposed: HashSet<String>, // by clients that wait here
    asked: HashSet<Vec<u8>>,
    reads: Vec<ReadState>, // that wait until so much is applied
    count: u64,            // of reads, over restarts: a late answer is no other's
}

fn name(id: u64) -> Option<String> { if id == 0 { None } else { Some(format!("n{id}")) } }

fn id(name: &str) -> u64 { name[1..].parse().unwrap() }

fn boot(disk: MemStorage, id: u64, count: u64) -> Server {
    let config = Config { id, election_tick: 10, heartbeat_tick: 1, pre_vote: true, check_quorum: true, max_inflight_msgs: 256, ..Config::default() };
    let raft = RawNode::new(&config, disk.clone(), &slog::Logger::root(slog::Discard, slog::o!())).unwrap();
    Server { id, raft: Some(raft), disk, value: None, applied: 0, proposed: HashSet::new(), asked: HashSet::new(), reads: vec![], count }
}

impl lines::Server for Server {
    fn new(name: &str, everybody: &[String]) -> Self {
        let ids: Vec<u64> = everybody.iter().map(|name| id(name)).collect();
        boot(MemStorage::new_with_conf_state((ids, vec![])), id(name), 0)
    }

    fn step(&mut self, r: &Request, answer: &mut Answer) {
        let leads = self.raft.as_ref().is_some_and(|n| n.raft.state == StateRole::Leader);
        match (r.get("do"), &mut self.raft) {
            ("timeout", Some(n)) => { // until it rings; the library draws from 10 ticks to 19
                for _ in 0..19 {
                    if n.tick() && !leads { break; }
                }
            }
            ("heartbeat", Some(n)) if leads => { n.tick(); }
            ("receive", Some(n)) => {
                let bytes: Vec<u8> = r.get("message").trim_matches(['[', ']']).split(',').map(|byte| byte.trim().parse().unwrap()).collect();
                n.step(Message::parse_from_bytes(&bytes).unwrap()).ok();
            }
            ("propose", Some(n)) if leads => {
                self.proposed.insert(r.get("value").into());
                n.propose(vec![], r.get("value").into()).ok();
            }
            ("read", Some(n)) => {
                self.count += 1;
                let read = format!("{} {}", self.id, self.count).into_bytes();
                self.asked.insert(read.clone());
                n.read_index(read);
            }
            ("transfer", Some(n)) => n.transfer_leader(id(r.get("to"))),
            ("crash", _) => self.raft = None,
            ("restart", _) => *self = boot(self.disk.clone(), self.id, self.count),
            _ => {}
        }
        while self.raft.as_ref().is_some_and(|n| n.has_ready()) {
            self.handle(answer);
        }
        while self.reads.first().is_some_and(|read| read.index <= self.applied) {
            self.reads.remove(0);
            answer.read.push(quoted(self.value.as_deref()));
        }
    }

    fn show(&self) -> String {
        let hard = self.raft.as_ref().map_or(self.disk.rl().hard_state().clone(), |n| n.raft.hard_state());
        let role = self.raft.as_ref().map(|n| match n.raft.state {
            StateRole::Leader => "leader",
            StateRole::Candidate => "candidate",
            StateRole::PreCandidate => "pre-candidate",
            StateRole::Follower => "follower",
        });
        let end = self.disk.last_index().unwrap() + 1;
        let entries = if end > 1 { self.disk.entries(1, end, None, GetEntriesContext::empty(false)).unwrap() } else { vec![] };
        let log: Vec<String> = entries.iter().map(|e| format!("[{},{}]", e.term, quoted(Some(&String::from_utf8_lossy(&e.data))))).collect();
        let (vote, role) = (quoted(name(hard.vote).as_deref()), quoted(role));
        format!("{{\"term\":{},\"voted_for\":{vote},\"role\":{role},\"log\":[{}],\"commit\":{}}}", hard.term, log.join(","), hard.commit)
    }
}

impl Server {
    /// What is ready, in the order that the library asks for.
    fn handle(&mut self, answer: &mut Answer) {
        let n = self.raft.as_mut().unwrap();
        let mut ready = n.ready();
        let mut sent = ready.take_messages();
        let mut committed = ready.take_committed_entries();
        self.disk.wl().append(ready.entries()).unwrap();
        if let Some(hard) = ready.hs() {
            self.disk.wl().set_hardstate(hard.clone());
        }
        self.reads.extend(ready.take_read_states().into_iter().filter(|read| self.asked.remove(&read.request_ctx)));
        sent.extend(ready.take_persisted_messages());
        let mut light = n.advance(ready);
        if let Some(commit) = light.commit_index() {
            self.disk.wl().mut_hard_state().set_commit(commit);
        }
        sent.extend(light.take_messages());
        committed.extend(light.take_committed_entries());
        n.advance_apply();
        for m in sent {
            answer.send(&name(m.to).unwrap(), &format!("{:?}", m.write_to_bytes().unwrap()));
        }
        for e in committed {
            let value = String::from_utf8(e.data.to_vec()).unwrap();
            self.applied = e.index;
            answer.applied.push(format!("[{},{}]", e.index, quoted(Some(&value))));
            if self.proposed.remove(&value) {
                answer.answered.push(quoted(Some(&value)));
            }
            if !value.is_empty() {
                self.value = Some(value);
            }
        }
    }
}

fn main() {
    std::panic::set_hook(Box::new(|_| {}));
    serve::<Server>(concat!(r#""can":["heartbeat","propose","read","transfer"],"may":["step down within a term","ask again","#,
        r#""give up an election","the commit index survives a restart","a vote tells what is committed"]"#));
}
