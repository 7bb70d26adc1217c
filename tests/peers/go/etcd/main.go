// A shim around go.etcd.io/raft/v3: pre-vote, check-quorum, snapshots, linearizable reads, changes of members. With an
// argument its application is late: it takes one committed entry a step, and the others wait at the library.
// The protocol is that of `oneleader scaffold go`.
package main

import (
	"io"
	"log"
	"os"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

var late = uint64(len(os.Args) - 1)

var roles = map[raft.StateType]string{0: "follower", 1: "candidate", 2: "leader", 3: "pre-candidate"}

type server struct {
	Node
	raft *raft.RawNode
	disk *raft.MemoryStorage
	conf *pb.ConfState
}

func main() {
	raft.SetLogger(&raft.DefaultLogger{Logger: log.New(io.Discard, "", 0)})
	Serve[server](Object{"models": []string{"pre_vote"}, "may": []string{"step down within a term", "ask again",
		"give up an election", "the commit index survives a restart", "leadership is handed over", "an old pre-vote counts",
		"the members change", "members change when applied", "members join before they have caught up"}})
}

func (s *server) Start() {
	s.disk = raft.NewMemoryStorage()
	s.conf = &pb.ConfState{Voters: s.Everybody.Ids(s.Everybody)}
	s.disk.ApplySnapshot(&pb.Snapshot{Metadata: &pb.SnapshotMetadata{ConfState: s.conf}})
	s.Restart()
}

func (s *server) Restart() {
	snapshot, _ := s.disk.Snapshot()
	s.install(snapshot)
	s.raft, _ = raft.NewRawNode(&raft.Config{ID: s.Everybody.Id(s.Name), Storage: s.disk, Applied: s.Applied,
		ElectionTick: 10, HeartbeatTick: 1, MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 256, PreVote: true, CheckQuorum: true,
		DisableProposalForwarding: true, StepDownOnRemoval: true, MaxCommittedSizePerReady: late})
}

func (s *server) Crash() { s.Restart() } // so what it shows is what stands on its disk

func (s *server) install(snapshot *pb.Snapshot) {
	s.Applied, s.conf = snapshot.GetMetadata().GetIndex(), snapshot.GetMetadata().GetConfState()
	s.Value = string(snapshot.GetData())
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
	m := &pb.Message{}
	protojson.Unmarshal(message, m)
	s.raft.Step(m)
}

func (s *server) Propose(value string) { s.raft.Propose(s.Proposed(value)) }

func (s *server) Read() { s.raft.ReadIndex(s.Asked()) }

func (s *server) Transfer(to string) { s.raft.TransferLeader(s.Everybody.Id(to)) }

func (s *server) Compact() {
	s.snapshot()
	s.disk.Compact(s.Applied)
}

func (s *server) snapshot() { s.disk.CreateSnapshot(s.Applied, s.conf, []byte(s.Value)) }

// ChangeMembers goes through a joint configuration where more than one changes.
func (s *server) ChangeMembers(members []string) {
	change, now := &pb.ConfChangeV2{}, s.Everybody.Of(s.conf.Voters)
	for _, id := range s.Everybody.Ids(Without(now, members)) {
		change.Changes = append(change.Changes, &pb.ConfChangeSingle{Type: pb.ConfChangeRemoveNode.Enum(), NodeId: &id})
	}
	for _, id := range s.Everybody.Ids(Without(members, now)) {
		change.Changes = append(change.Changes, &pb.ConfChangeSingle{Type: pb.ConfChangeAddNode.Enum(), NodeId: &id})
	}
	s.raft.ProposeConfChange(change)
}

// Settle does what is ready, in the order that the library asks for.
func (s *server) Settle() (more bool) {
	if !s.raft.HasReady() {
		return false
	}
	ready := s.raft.Ready()
	if ready.Snapshot != nil && s.disk.ApplySnapshot(ready.Snapshot) == nil {
		s.install(ready.Snapshot)
	}
	if !raft.IsEmptyHardState(ready.HardState) {
		s.disk.SetHardState(ready.HardState)
	}
	s.disk.Append(ready.Entries)
	for _, m := range ready.Messages {
		text, _ := protojson.Marshal(m)
		s.Send(s.Everybody[m.GetTo()-1], text)
		if m.GetType() == pb.MsgSnap {
			s.raft.ReportSnapshot(m.GetTo(), raft.SnapshotFinish)
		}
	}
	for _, e := range ready.CommittedEntries {
		if e.GetType() == pb.EntryNormal {
			s.Apply(e.GetIndex(), string(e.Data))
			continue
		}
		change := &pb.ConfChangeV2{}
		proto.Unmarshal(e.Data, change)
		s.conf = s.raft.ApplyConfChange(change)
		s.Apply(e.GetIndex(), "")
		s.snapshot() // who joins takes none in which it is no member
	}
	for _, read := range ready.ReadStates {
		s.MayRead(read.RequestCtx, read.Index)
	}
	s.raft.Advance(ready)
	return late == 0
}

func (s *server) Show() Object {
	now := s.raft.BasicStatus()
	first, _ := s.disk.FirstIndex()
	last, _ := s.disk.LastIndex()
	entries, _ := s.disk.Entries(first, last+1, 1<<30)
	log := Log{}
	for _, e := range entries {
		log.Add(e.GetTerm(), string(e.Data))
	}
	return Object{"term": now.GetTerm(), "voted_for": s.Everybody.Name(now.GetVote()), "role": roles[now.RaftState],
		"log": log, "first": first, "commit": now.GetCommit(), "members": s.Everybody.Of(s.conf.Voters),
		"joint": s.Everybody.Of(s.conf.VotersOutgoing)}
}
