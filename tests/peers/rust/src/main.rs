//! A shim around raft-rs, TiKV's raft, with pre-vote, check-quorum and linearizable reads; names are n1, n2, ...
//! Its MemStorage keeps no data in a snapshot, so nothing is compacted.
use protobuf::Message as _;
use raft::{eraftpb::*, storage::MemStorage, Config, GetEntriesContext, RawNode, ReadState, StateRole, Storage};
use serde_json::{json, Value};
use std::collections::{BTreeMap, HashSet};
use std::panic::{catch_unwind, AssertUnwindSafe};

struct Server {
    raft: Option<RawNode<MemStorage>>, // None when down
    disk: MemStorage,
    value: Value, // of the register, the whole state machine
    applied: u64,
    proposed: HashSet<String>, // by clients that wait here
    asked: HashSet<Vec<u8>>,
    reads: Vec<ReadState>, // that wait until so much is applied
}

fn name(id: u64) -> Value {
    if id == 0 { Value::Null } else { json!(format!("n{id}")) }
}

fn id(name: &Value) -> u64 {
    name.as_str().unwrap()[1..].parse().unwrap()
}

fn boot(disk: MemStorage, id: u64) -> Server {
    let config = Config { id, election_tick: 10, heartbeat_tick: 1, pre_vote: true, check_quorum: true, max_inflight_msgs: 256, ..Config::default() };
    let raft = RawNode::new(&config, disk.clone(), &slog::Logger::root(slog::Discard, slog::o!())).unwrap();
    Server { raft: Some(raft), disk, value: Value::Null, applied: 0, proposed: HashSet::new(), asked: HashSet::new(), reads: vec![] }
}

fn step(s: &mut Server, r: &Value, answer: &mut Value) {
    let leads = s.raft.as_ref().is_some_and(|n| n.raft.state == StateRole::Leader);
    match (r["do"].as_str().unwrap(), &mut s.raft) {
        ("timeout", Some(n)) => { // until it rings; the library draws from 10 ticks to 19
            for _ in 0..19 {
                if n.tick() && !leads { break; }
            }
        }
        ("heartbeat", Some(n)) if leads => { n.tick(); }
        ("receive", Some(n)) => {
            let bytes: Vec<u8> = serde_json::from_value(r["message"].clone()).unwrap();
            n.step(Message::parse_from_bytes(&bytes).unwrap()).ok();
        }
        ("propose", Some(n)) if leads => {
            let value = r["value"].as_str().unwrap();
            s.proposed.insert(value.into());
            n.propose(vec![], value.into()).ok();
        }
        ("read", Some(n)) => {
            let read = format!("{} {}", r["node"], r["id"]).into_bytes();
            s.asked.insert(read.clone());
            n.read_index(read);
        }
        ("transfer", Some(n)) => n.transfer_leader(id(&r["to"])),
        ("crash", _) => s.raft = None,
        ("restart", _) => *s = boot(s.disk.clone(), id(&r["node"])),
        _ => {}
    }
    while s.raft.as_ref().is_some_and(|n| n.has_ready()) {
        handle(s, answer);
    }
    while s.reads.first().is_some_and(|read| read.index <= s.applied) {
        s.reads.remove(0);
        answer["read"].as_array_mut().unwrap().push(s.value.clone());
    }
}

/// What is ready, in the order that the library asks for.
fn handle(s: &mut Server, answer: &mut Value) {
    let n = s.raft.as_mut().unwrap();
    let mut ready = n.ready();
    let mut sent = ready.take_messages();
    let mut committed = ready.take_committed_entries();
    s.disk.wl().append(ready.entries()).unwrap();
    if let Some(hard) = ready.hs() {
        s.disk.wl().set_hardstate(hard.clone());
    }
    s.reads.extend(ready.take_read_states().into_iter().filter(|read| s.asked.remove(&read.request_ctx)));
    sent.extend(ready.take_persisted_messages());
    let mut light = n.advance(ready);
    if let Some(commit) = light.commit_index() {
        s.disk.wl().mut_hard_state().set_commit(commit);
    }
    sent.extend(light.take_messages());
    committed.extend(light.take_committed_entries());
    n.advance_apply();
    for m in sent {
        let message = json!({"to": name(m.to), "message": m.write_to_bytes().unwrap()});
        answer["sent"].as_array_mut().unwrap().push(message);
    }
    for e in committed {
        let value = String::from_utf8(e.data.to_vec()).unwrap();
        s.applied = e.index;
        answer["applied"].as_array_mut().unwrap().push(json!([e.index, value]));
        if s.proposed.remove(&value) {
            answer["answered"].as_array_mut().unwrap().push(json!(value));
        }
        if !value.is_empty() {
            s.value = json!(value);
        }
    }
}

fn show(s: &Server) -> Value {
    let hard = s.raft.as_ref().map_or(s.disk.rl().hard_state().clone(), |n| n.raft.hard_state());
    let role = s.raft.as_ref().map(|n| match n.raft.state {
        StateRole::Leader => "leader",
        StateRole::Candidate => "candidate",
        StateRole::PreCandidate => "pre-candidate",
        StateRole::Follower => "follower",
    });
    let end = s.disk.last_index().unwrap() + 1;
    let entries = if end > 1 { s.disk.entries(1, end, None, GetEntriesContext::empty(false)).unwrap() } else { vec![] };
    let log: Vec<Value> = entries.iter().map(|e| json!([e.term, String::from_utf8_lossy(&e.data)])).collect();
    json!({"term": hard.term, "voted_for": name(hard.vote), "role": role, "log": log, "commit": hard.commit})
}

fn main() {
    let mut servers: BTreeMap<String, Server> = BTreeMap::new();
    std::panic::set_hook(Box::new(|_| {}));
    for line in std::io::stdin().lines() {
        let r: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let answer = match r["do"].as_str().unwrap() {
            "hello" => json!({"version": 1, "can": ["heartbeat", "propose", "read", "transfer"], "may": ["step down within a term",
                "ask again", "give up an election", "the commit index survives a restart", "a vote tells what is committed"]}),
            "start" => {
                let ids: Vec<u64> = r["nodes"].as_array().unwrap().iter().map(id).collect();
                let new = |id: &u64| (format!("n{id}"), boot(MemStorage::new_with_conf_state((ids.clone(), vec![])), *id));
                servers = ids.iter().map(new).collect();
                json!({"servers": servers.iter().map(|(node, s)| (node.clone(), show(s))).collect::<BTreeMap<_, _>>()})
            }
            _ => {
                let s = servers.get_mut(r["node"].as_str().unwrap()).unwrap();
                let mut answer = json!({"sent": [], "applied": [], "answered": [], "read": []});
                match catch_unwind(AssertUnwindSafe(|| step(s, &r, &mut answer))) {
                    Ok(()) => answer["server"] = show(s),
                    Err(why) => answer = json!({"error": why.downcast_ref::<String>().cloned().unwrap_or("a panic".into())}),
                }
                answer
            }
        };
        let mut answer = answer;
        answer["id"] = r["id"].clone();
        println!("{answer}");
    }
}
