//! A shim around TiKV's raft (raft-rs), with pre-vote, check-quorum, snapshots and linearizable reads.
use protobuf::Message as _;
use raft::{eraftpb::*, storage::MemStorage, Config, RawNode, ReadState, StateRole, Storage};
use serde_json::{json, Value};
use std::collections::{BTreeMap, HashSet};
use std::io::{stdin, BufRead};

struct Server {
    node: Option<RawNode<MemStorage>>, // None when down
    disk: MemStorage,
    id: u64,
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

impl Server {
    fn boot(disk: MemStorage, id: u64) -> Server {
        let config = Config { id, election_tick: 10, heartbeat_tick: 1, max_size_per_msg: 1 << 20, max_inflight_msgs: 256,
            pre_vote: true, check_quorum: true, ..Default::default() };
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let node = Some(RawNode::new(&config, disk.clone(), &logger).unwrap());
        let mut s = Server { node, disk, id, value: Value::Null, applied: 0, proposed: HashSet::new(), asked: HashSet::new(), reads: vec![] };
        let snapshot = s.disk.rl().snapshot_metadata().clone();
        s.applied = snapshot.index;
        s
    }
}
