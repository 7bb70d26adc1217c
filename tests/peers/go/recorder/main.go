//go:build with_tla

// A recorder: servers of go.etcd.io/raft/v3 under crashes, cuts, losses, snapshots and changes of members, drawn
// from a seed, with the library's own trace logger on standard output. Usage: recorder SEED ROUNDS.
package main

import (
	"encoding/json"
	"io"
	"log"
	"math/rand"
	"os"
	"strconv"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

const most = 5 // servers; the first three begin

type server struct {
	*raft.RawNode
	id      uint64
	disk    *raft.MemoryStorage
	conf    *pb.ConfState
	applied uint64
}

type cluster struct {
	*rand.Rand
	out     *json.Encoder
	servers []*server
	flying  []*pb.Message
	cut     uint64 // the server that hears nobody and is heard by nobody; 0 for none
}

func main() {
	raft.SetLogger(&raft.DefaultLogger{Logger: log.New(io.Discard, "", 0)})
	seed, _ := strconv.Atoi(os.Args[1])
	rounds, _ := strconv.Atoi(os.Args[2])
	c := &cluster{Rand: rand.New(rand.NewSource(int64(seed))), out: json.NewEncoder(os.Stdout)}
	for id := uint64(1); id <= most; id++ {
		s := &server{id: id, disk: raft.NewMemoryStorage()}
		c.servers = append(c.servers, s)
		c.boot(s)
		if id <= 3 {
			s.Bootstrap([]raft.Peer{{ID: 1}, {ID: 2}, {ID: 3}})
		}
		c.handle(s)
	}
	for range rounds {
		for _, s := range c.servers {
			c.disturb(s)
			c.handle(s)
		}
		c.deliver()
	}
}

func (c *cluster) TraceEvent(event *raft.TracingEvent) {
	c.out.Encode(map[string]any{"tag": "trace", "event": event})
}

// one says yes once in so many times.
func (c *cluster) one(in int) bool { return c.Intn(in) == 0 }

// boot starts a server from its disk. What it had not stored is lost; what it had applied, it applies again.
func (c *cluster) boot(s *server) {
	snapshot, _ := s.disk.Snapshot()
	s.applied, s.conf = snapshot.GetMetadata().GetIndex(), snapshot.GetMetadata().GetConfState()
	s.RawNode, _ = raft.NewRawNode(&raft.Config{ID: s.id, Storage: s.disk, Applied: s.applied, ElectionTick: 10,
		HeartbeatTick: 1, MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 64, StepDownOnRemoval: true, TraceLogger: c})
}

func (c *cluster) disturb(s *server) {
	leads := s.BasicStatus().RaftState == raft.StateLeader
	switch {
	case c.one(80):
		c.boot(s) // what it has done since its last Ready, it has not
	case c.one(60) && s.applied > 3:
		s.disk.CreateSnapshot(s.applied, s.conf, []byte("state"))
		s.disk.Compact(s.applied)
	case c.one(120):
		c.cut = uint64(c.Intn(most + 1))
	case leads && c.one(20):
		s.ProposeConfChange(c.change())
	case leads && c.one(3):
		s.Propose([]byte("x"))
	case leads && c.one(2):
		s.Tick() // a heartbeat. Others have no clock: the library would draw their timeouts, and no seed repeat it
	case c.one(50) && s.applied > 0:
		s.Campaign()
	}
	for _, to := range c.servers {
		if leads && c.one(8) {
			s.ReportSnapshot(to.id, raft.SnapshotFailure) // so that it sends another one
		}
	}
}

// change adds a server, removes one, or does both by a joint configuration.
func (c *cluster) change() *pb.ConfChangeV2 {
	in, out := uint64(c.Intn(most)+1), uint64(c.Intn(most)+1)
	add, remove := pb.ConfChangeType_ConfChangeAddNode, pb.ConfChangeType_ConfChangeRemoveNode
	changes := []*pb.ConfChangeSingle{{Type: &add, NodeId: &in}, {Type: &remove, NodeId: &out}}
	if kind := c.Intn(3); in == out || kind < 2 {
		changes = changes[kind%2 : kind%2+1]
	}
	return &pb.ConfChangeV2{Changes: changes}
}

// deliver loses some of what is under way, and keeps some for later.
func (c *cluster) deliver() {
	c.Shuffle(len(c.flying), func(i, j int) { c.flying[i], c.flying[j] = c.flying[j], c.flying[i] })
	now := c.flying
	c.flying = nil
	for _, m := range now {
		to := c.servers[m.GetTo()-1]
		switch {
		case m.GetFrom() == c.cut || m.GetTo() == c.cut || c.one(12):
		case c.one(5):
			c.flying = append(c.flying, m)
		default:
			to.Step(m)
			if !c.one(30) { // a crash may come before it stores
				c.handle(to)
			}
		}
	}
}

// handle does what is ready, in the order that the library asks for.
func (c *cluster) handle(s *server) {
	for s.HasReady() {
		ready := s.Ready()
		if !raft.IsEmptySnap(ready.Snapshot) {
			s.disk.ApplySnapshot(ready.Snapshot)
			s.applied = ready.Snapshot.GetMetadata().GetIndex()
			s.conf = ready.Snapshot.GetMetadata().GetConfState()
		}
		s.disk.Append(ready.Entries)
		if !raft.IsEmptyHardState(ready.HardState) {
			s.disk.SetHardState(ready.HardState)
		}
		c.flying = append(c.flying, ready.Messages...)
		for _, e := range ready.CommittedEntries {
			s.apply(e)
		}
		s.Advance(ready)
	}
}

func (s *server) apply(e *pb.Entry) {
	s.applied = e.GetIndex()
	switch e.GetType() {
	case pb.EntryConfChange:
		change := &pb.ConfChange{}
		proto.Unmarshal(e.GetData(), change)
		s.conf = s.ApplyConfChange(change)
	case pb.EntryConfChangeV2:
		change := &pb.ConfChangeV2{}
		proto.Unmarshal(e.GetData(), change)
		s.conf = s.ApplyConfChange(change)
	}
}
