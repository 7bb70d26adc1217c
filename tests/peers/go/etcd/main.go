// A shim around go.etcd.io/raft/v3: pre-vote, check-quorum, snapshots, linearizable reads, changes of members. With an
// argument its application is late: it takes one committed entry a step, and the others wait at the library.
package main

import (
	"encoding/json"
	"io"
	"log"
	"os"
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"peers/lines"
)

var isLate = len(os.Args) > 1

var roles = map[raft.StateType]string{0: "follower", 1: "candidate", 2: "leader", 3: "pre-candidate"}

type server struct {
	*raft.RawNode // nil when down
	names         lines.Names
	id            uint64
	disk          *raft.MemoryStorage
	conf          *pb.ConfState
	register      *lines.Register
	reads         []raft.ReadState // that wait until so much is applied
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
	s := &server{names: names, id: names.Id(node), disk: raft.NewMemoryStorage()}
	s.disk.ApplySnapshot(&pb.Snapshot{Metadata: &pb.SnapshotMetadata{ConfState: &pb.ConfState{Voters: names.Ids()}}})
	s.boot()
	return s
}

func (s *server) boot() {
	snapshot, _ := s.disk.Snapshot()
	s.register, s.reads = lines.NewRegister(), nil
	s.install(snapshot)
	config := &raft.Config{ID: s.id, Storage: s.disk, Applied: s.register.Applied,
		ElectionTick: 10, HeartbeatTick: 1, MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 256, PreVote: true,
		CheckQuorum: true, DisableProposalForwarding: true, StepDownOnRemoval: true}
	if isLate {
		config.MaxCommittedSizePerReady = 1
	}
	s.RawNode, _ = raft.NewRawNode(config)
}

func (s *server) install(snapshot *pb.Snapshot) {
	s.register.Applied, s.conf = snapshot.GetMetadata().GetIndex(), snapshot.GetMetadata().GetConfState()
	json.Unmarshal(snapshot.GetData(), &s.register.Value)
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
		m := &pb.Message{}
		protojson.Unmarshal(r.Message, m)
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
	for more := true; more && s.RawNode != nil && s.HasReady(); more = !isLate {
		s.handle(s.Ready(), answer)
	}
	for ; len(s.reads) > 0 && s.reads[0].Index <= s.register.Applied; s.reads = s.reads[1:] {
		answer.Read = append(answer.Read, s.register.Value)
	}
}

func (s *server) snapshot() {
	value, _ := json.Marshal(s.register.Value)
	s.disk.CreateSnapshot(s.register.Applied, s.conf, value)
}

// change says what is to be added and removed; more than one go through a joint configuration.
func (s *server) change(members []string) *pb.ConfChangeV2 {
	change := &pb.ConfChangeV2{}
	for i, name := range s.names {
		id, is, wanted := uint64(i+1), slices.Contains(s.conf.Voters, uint64(i+1)), slices.Contains(members, name)
		if kind := pb.ConfChangeType_ConfChangeRemoveNode; is != wanted {
			if wanted {
				kind = pb.ConfChangeType_ConfChangeAddNode
			}
			change.Changes = append(change.Changes, &pb.ConfChangeSingle{Type: &kind, NodeId: &id})
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
		text, _ := protojson.Marshal(m)
		answer.Send(s.names.Name(m.GetTo()), json.RawMessage(text))
		if m.GetType() == pb.MsgSnap {
			s.ReportSnapshot(m.GetTo(), raft.SnapshotFinish)
		}
	}
	for _, e := range ready.CommittedEntries {
		if e.GetType() == pb.EntryNormal {
			s.register.Apply(e.GetIndex(), string(e.Data), answer)
			continue
		}
		change := &pb.ConfChangeV2{}
		proto.Unmarshal(e.Data, change)
		s.conf = s.ApplyConfChange(change)
		s.register.Apply(e.GetIndex(), "", answer)
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
		log = append(log, [2]any{e[0].GetTerm(), string(e[0].Data)})
	}
	shown := map[string]any{"term": hard.GetTerm(), "voted_for": s.names.Name(hard.GetVote()), "role": role,
		"log": log, "first": first, "commit": hard.GetCommit(), "members": s.named(s.conf.Voters)}
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
