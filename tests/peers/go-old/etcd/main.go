// A shim around etcd's raft of 2019 (etcd 3.4.3), whose application is late: it takes one committed entry a step, as an
// application may, and the entries wait at the library meanwhile (MaxCommittedSizePerReady).
package main

import (
	"encoding/json"
	"io"
	"log"
	"slices"

	"go.etcd.io/etcd/raft"
	pb "go.etcd.io/etcd/raft/raftpb"
	"peers/lines"
)

var roles = map[raft.StateType]string{0: "follower", 1: "candidate", 2: "leader", 3: "pre-candidate"}

type server struct {
	*raft.RawNode // nil when down
	names         lines.Names
	id            uint64
	disk          disk
	conf          pb.ConfState
	register      *lines.Register
	reads         []raft.ReadState // that wait until so much is applied
}

// A disk knows the members at first: this version takes no snapshot at index 0 that would say so.
type disk struct {
	*raft.MemoryStorage
	first pb.ConfState
}

func (d disk) InitialState() (hard pb.HardState, conf pb.ConfState, err error) {
	if hard, conf, err = d.MemoryStorage.InitialState(); len(conf.Voters) == 0 {
		conf = d.first
	}
	return
}

func main() {
	raft.SetLogger(&raft.DefaultLogger{Logger: log.New(io.Discard, "", 0)})
	lines.Serve(map[string]any{"can": []string{"heartbeat", "propose", "read", "compact", "transfer", "change_members"},
		"may": []string{"step down within a term", "ask again", "give up an election",
			"the commit index survives a restart", "leadership is handed over", "an old pre-vote counts",
			"the members change", "members change when applied",
			"members join before they have caught up"},
		"models": []string{"pre_vote"}}, start)
}

func start(names lines.Names, node string) lines.Server {
	disk := disk{raft.NewMemoryStorage(), pb.ConfState{Voters: names.Ids()}}
	s := &server{names: names, id: names.Id(node), disk: disk}
	s.boot()
	return s
}

func (s *server) boot() {
	snapshot, _ := s.disk.Snapshot()
	s.register, s.reads = lines.NewRegister(), nil
	s.install(snapshot)
	s.RawNode, _ = raft.NewRawNode(&raft.Config{ID: s.id, Storage: s.disk, Applied: s.register.Applied,
		ElectionTick: 10, HeartbeatTick: 1, MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 256, PreVote: true,
		CheckQuorum: true, DisableProposalForwarding: true, MaxCommittedSizePerReady: 1})
}

func (s *server) install(snapshot pb.Snapshot) {
	s.register.Applied = snapshot.Metadata.Index
	if s.conf = snapshot.Metadata.ConfState; raft.IsEmptySnap(snapshot) {
		s.conf = s.disk.first
	}
	json.Unmarshal(snapshot.Data, &s.register.Value)
}

func (s *server) Step(r lines.Request, answer *lines.Answer) {
	switch r.Do {
	case "timeout": // as late as it can be; the library draws from 10 ticks to 19
		for range 18 {
			s.TickQuiesced()
		}
		s.Tick()
	case "heartbeat":
		if s.BasicStatus().RaftState == raft.StateLeader {
			s.Tick()
		}
	case "receive":
		m := pb.Message{}
		json.Unmarshal(r.Message, &m)
		s.RawNode.Step(m)
	case "propose":
		s.Propose(s.register.Propose(r.Value))
	case "read":
		s.ReadIndex(s.register.Ask())
	case "compact":
		s.snapshot()
		s.disk.Compact(s.register.Applied)
	case "transfer":
		s.TransferLeader(s.names.Id(r.To))
	case "change_members":
		s.ProposeConfChange(s.change(r.Members))
	case "crash":
		s.RawNode = nil
	case "restart":
		s.boot()
	}
	if s.RawNode != nil && s.HasReady() {
		s.handle(s.Ready(), answer)
	}
	for ; len(s.reads) > 0 && s.reads[0].Index <= s.register.Applied; s.reads = s.reads[1:] {
		answer.Read = append(answer.Read, s.register.Value)
	}
}

func (s *server) snapshot() {
	value, _ := json.Marshal(s.register.Value)
	s.disk.CreateSnapshot(s.register.Applied, &s.conf, value)
}

// change says what is to be added and removed; more than one go through a joint configuration.
func (s *server) change(members []string) pb.ConfChangeV2 {
	change := pb.ConfChangeV2{}
	for i, name := range s.names {
		id, is, wanted := uint64(i+1), slices.Contains(s.conf.Voters, uint64(i+1)), slices.Contains(members, name)
		if kind := pb.ConfChangeRemoveNode; is != wanted {
			if wanted {
				kind = pb.ConfChangeAddNode
			}
			change.Changes = append(change.Changes, pb.ConfChangeSingle{Type: kind, NodeID: id})
		}
	}
	return change
}

// handle does what is ready, in the order that the library asks for.
func (s *server) handle(ready raft.Ready, answer *lines.Answer) {
	if !raft.IsEmptySnap(ready.Snapshot) {
		s.disk.ApplySnapshot(ready.Snapshot)
		s.install(ready.Snapshot)
	}
	if !raft.IsEmptyHardState(ready.HardState) {
		s.disk.SetHardState(ready.HardState)
	}
	s.disk.Append(ready.Entries)
	for _, m := range ready.Messages {
		answer.Send(s.names.Name(m.To), m)
		if m.Type == pb.MsgSnap {
			s.ReportSnapshot(m.To, raft.SnapshotFinish)
		}
	}
	for _, e := range ready.CommittedEntries {
		if e.Type == pb.EntryNormal {
			s.register.Apply(e.Index, string(e.Data), answer)
			continue
		}
		change := pb.ConfChangeV2{}
		change.Unmarshal(e.Data)
		if e.Type == pb.EntryConfChange {
			one := pb.ConfChange{}
			one.Unmarshal(e.Data)
			change = one.AsV2()
		}
		s.conf = *s.ApplyConfChange(change)
		s.register.Apply(e.Index, "", answer)
		s.snapshot() // who joins takes none in which it is no member
	}
	for _, read := range ready.ReadStates {
		if s.register.Asked(read.RequestCtx) {
			s.reads = append(s.reads, read)
		}
	}
	s.Advance(ready)
}

func (s *server) Show() map[string]any {
	hard, _, _ := s.disk.InitialState()
	role := any(nil)
	if s.RawNode != nil {
		hard, role = s.BasicStatus().HardState, roles[s.BasicStatus().RaftState]
	}
	first, _ := s.disk.FirstIndex()
	last, _ := s.disk.LastIndex()
	log := [][2]any{}
	for i := first; i <= last; i++ {
		e, _ := s.disk.Entries(i, i+1, 0)
		log = append(log, [2]any{e[0].Term, string(e[0].Data)})
	}
	shown := map[string]any{"term": hard.Term, "voted_for": s.names.Name(hard.Vote), "role": role,
		"log": log, "first": first, "commit": hard.Commit, "members": s.named(s.conf.Voters)}
	if len(s.conf.VotersOutgoing) > 0 {
		shown["joint"] = s.named(s.conf.VotersOutgoing)
	}
	return shown
}

func (s *server) named(ids []uint64) (names []any) {
	for _, id := range ids {
		names = append(names, s.names.Name(id))
	}
	return names
}
