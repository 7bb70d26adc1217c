// A shim around etcd's raft of 2019 (etcd 3.4.3), whose application is late: it takes one committed entry a step, as an
// application may, and the entries wait at the library meanwhile (MaxCommittedSizePerReady).
// The protocol is that of `oneleader scaffold go`.
package main

import (
	"encoding/json"
	"io"
	"log"

	"go.etcd.io/etcd/raft"
	pb "go.etcd.io/etcd/raft/raftpb"
)

var roles = map[raft.StateType]string{0: "follower", 1: "candidate", 2: "leader", 3: "pre-candidate"}

type server struct {
	Node
	*raft.MemoryStorage
	raft *raft.RawNode
	conf pb.ConfState
}

// InitialState knows the members at first: this version takes no snapshot at index 0 that would say so.
func (s *server) InitialState() (pb.HardState, pb.ConfState, error) {
	hard, conf, err := s.MemoryStorage.InitialState()
	if len(conf.Voters) == 0 {
		conf.Voters = s.Everybody.Ids(s.Everybody)
	}
	return hard, conf, err
}

func main() {
	raft.SetLogger(&raft.DefaultLogger{Logger: log.New(io.Discard, "", 0)})
	Serve[server](Object{"models": []string{"pre_vote"}, "may": []string{"step down within a term", "ask again",
		"give up an election", "the commit index survives a restart", "leadership is handed over", "an old pre-vote counts",
		"the members change", "members change when applied", "members join before they have caught up"}})
}

func (s *server) Start() {
	s.MemoryStorage = raft.NewMemoryStorage()
	s.Restart()
}

func (s *server) Restart() {
	snapshot, _ := s.Snapshot()
	s.install(snapshot)
	s.raft, _ = raft.NewRawNode(&raft.Config{ID: s.Everybody.Id(s.Name), Storage: s, Applied: s.Applied,
		ElectionTick: 10, HeartbeatTick: 1, MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 256, PreVote: true, CheckQuorum: true,
		DisableProposalForwarding: true, MaxCommittedSizePerReady: 1})
}

func (s *server) Crash() { s.Restart() } // so what it shows is what stands on its disk

func (s *server) install(snapshot pb.Snapshot) {
	s.Applied, s.Value = snapshot.Metadata.Index, string(snapshot.Data)
	_, s.conf, _ = s.InitialState()
}

// Timeout comes as late as it can: the library draws from 10 ticks to 19.
func (s *server) Timeout() {
	for range 18 {
		s.raft.TickQuiesced()
	}
	s.raft.Tick()
}

func (s *server) Heartbeat() {
	if s.raft.BasicStatus().RaftState == raft.StateLeader {
		s.raft.Tick()
	}
}

func (s *server) Receive(_ string, message []byte) {
	m := pb.Message{}
	json.Unmarshal(message, &m)
	s.raft.Step(m)
}

func (s *server) Propose(value string) { s.raft.Propose(s.Proposed(value)) }

func (s *server) Read() { s.raft.ReadIndex(s.Asked()) }

func (s *server) Transfer(to string) { s.raft.TransferLeader(s.Everybody.Id(to)) }

func (s *server) Compact() {
	s.snapshot()
	s.MemoryStorage.Compact(s.Applied)
}

func (s *server) snapshot() { s.CreateSnapshot(s.Applied, &s.conf, []byte(s.Value)) }

// ChangeMembers goes through a joint configuration where more than one changes.
func (s *server) ChangeMembers(members []string) {
	change, now := pb.ConfChangeV2{}, s.Everybody.Of(s.conf.Voters)
	for _, id := range s.Everybody.Ids(Without(now, members)) {
		change.Changes = append(change.Changes, pb.ConfChangeSingle{Type: pb.ConfChangeRemoveNode, NodeID: id})
	}
	for _, id := range s.Everybody.Ids(Without(members, now)) {
		change.Changes = append(change.Changes, pb.ConfChangeSingle{Type: pb.ConfChangeAddNode, NodeID: id})
	}
	s.raft.ProposeConfChange(change)
}

// Settle does what is ready, in the order that the library asks for.
func (s *server) Settle() (more bool) {
	if !s.raft.HasReady() {
		return false
	}
	ready := s.raft.Ready()
	if s.ApplySnapshot(ready.Snapshot) == nil { // there is none, or an old one, else
		s.install(ready.Snapshot)
	}
	if !raft.IsEmptyHardState(ready.HardState) {
		s.SetHardState(ready.HardState)
	}
	s.Append(ready.Entries)
	for _, m := range ready.Messages {
		s.Send(s.Everybody[m.To-1], m)
		if m.Type == pb.MsgSnap {
			s.raft.ReportSnapshot(m.To, raft.SnapshotFinish)
		}
	}
	for _, e := range ready.CommittedEntries {
		if e.Type == pb.EntryNormal {
			s.Apply(e.Index, string(e.Data))
			continue
		}
		change := pb.ConfChangeV2{}
		change.Unmarshal(e.Data)
		s.conf = *s.raft.ApplyConfChange(change)
		s.Apply(e.Index, "")
		s.snapshot() // who joins takes none in which it is no member
	}
	for _, read := range ready.ReadStates {
		s.MayRead(read.RequestCtx, read.Index)
	}
	s.raft.Advance(ready)
	return false
}

func (s *server) Show() Object {
	now := s.raft.BasicStatus()
	first, _ := s.FirstIndex()
	last, _ := s.LastIndex()
	entries, _ := s.Entries(first, last+1, 1<<30)
	log := Log{}
	for _, e := range entries {
		log.Add(e.Term, string(e.Data))
	}
	return Object{"term": now.Term, "voted_for": s.Everybody.Name(now.Vote), "role": roles[now.RaftState],
		"log": log, "first": first, "commit": now.Commit, "members": s.Everybody.Of(s.conf.Voters),
		"joint": s.Everybody.Of(s.conf.VotersOutgoing)}
}
