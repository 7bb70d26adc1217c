// A shim around hashicorp/raft, which has threads and clocks of its own: `peers/threads` keeps them in hand. The protocol is
// that of `oneleader scaffold go`.
package main

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"peers/threads"
)

type server struct {
	Node
	threads.Threads
	raft.Transport // in memory, for what is not sent: its snapshots and its pipeline reach nobody
	raft.FSM       // for what is not asked of it: nothing is compacted
	raft           *raft.Raft
	config         *raft.Config
	disk           *raft.InmemStore
	inbox          chan raft.RPC
	stands         bool // has asked for votes, not just for pre-votes
}

func main() {} // it is a test

func TestShim(t *testing.T) {
	threads.T = t
	Serve[server](Object{"may": []string{"step down within a term", "ask again", "give up an election", "the members change",
		"members join before they have caught up", "the members before a change commit it",
		"a former leader sends what it has since", "a leader leads on though an answer is of a newer term",
		"a candidate stores what its term's leader sends", "who is no member stands without its own vote"}})
}

func (s *server) Start() {
	s.disk, s.config = raft.NewInmemStore(), raft.DefaultConfig()
	s.config.LocalID, s.config.Logger, s.config.ShutdownOnRemove = raft.ServerID(s.Name), hclog.NewNullLogger(), false
	s.config.SnapshotInterval = 1e6 * time.Hour // never
	all := raft.Configuration{}
	for _, name := range s.Everybody {
		all.Servers = append(all.Servers, raft.Server{ID: raft.ServerID(name), Address: raft.ServerAddress(name)})
	}
	raft.BootstrapCluster(s.config, s.disk, s.disk, raft.NewDiscardSnapshotStore(), s, all)
	s.Restart()
}

func (s *server) Restart() {
	s.Begin(s.Send, func() {
		s.inbox = make(chan raft.RPC, 9)
		_, s.Transport = raft.NewInmemTransport(raft.ServerAddress(s.Name))
		s.raft, _ = raft.NewRaft(s.config, s, s.disk, s.disk, raft.NewDiscardSnapshotStore(), s)
	}, func() { s.raft.Shutdown().Error() })
}

func (s *server) Crash() { s.End() }

func (s *server) Timeout() {
	s.Ring(500, func() bool { return s.HasSent() || s.raft.State() == raft.Leader }) // ticks, of which an election takes one or two hundred
}

func (s *server) Heartbeat() { s.Ring(20, func() bool { return s.raft.State() != raft.Leader }) }

func (s *server) Receive(sender string, message []byte) { s.Arrive(sender, message, s.serve) }

func (s *server) Propose(value string) { go s.raft.Apply(s.Proposed(value), 0) }

func (s *server) Transfer(to string) {
	go s.raft.LeadershipTransferToServer(raft.ServerID(to), raft.ServerAddress(to))
}

func (s *server) Read() {
	go func() {
		if s.raft.Barrier(0).Error() == nil {
			s.Answer()
		}
	}()
}

// ChangeMembers asks for one server more or less: the library changes one at a time.
func (s *server) ChangeMembers(members []string) {
	if more := Without(members, s.members()); len(more) > 0 {
		go s.raft.AddVoter(raft.ServerID(more[0]), raft.ServerAddress(more[0]), 0, time.Millisecond)
	} else if less := Without(s.members(), members); len(less) > 0 {
		go s.raft.RemoveServer(raft.ServerID(less[0]), 0, time.Millisecond)
	}
	time.Sleep(2 * time.Millisecond) // one that has to wait is refused: no step makes two changes
}

func (s *server) members() (names []string) {
	for _, member := range s.raft.GetConfiguration().Configuration().Servers {
		names = append(names, string(member.ID))
	}
	return names
}

// serve has the library answer a call. Of one that crashes meanwhile nobody hears.
func (s *server) serve(command any) (response any, failed error) {
	responses := make(chan raft.RPCResponse, 1)
	s.inbox <- raft.RPC{Command: command, RespChan: responses}
	done, _ := threads.Wait(&s.Threads, responses)
	return done.Response, done.Error
}

// What the library asks of a transport and of a state machine.

func (s *server) Consumer() <-chan raft.RPC { return s.inbox }

func (s *server) AppendEntries(_ raft.ServerID, to raft.ServerAddress, a *raft.AppendEntriesRequest, r *raft.AppendEntriesResponse) error {
	if len(a.Entries) == 0 && a.PrevLogEntry == 0 && a.LeaderCommitIndex == 0 {
		return s.Call("Heartbeat", string(to), a, r)
	}
	return s.Call("AppendEntries", string(to), a, r)
}

func (s *server) RequestVote(_ raft.ServerID, to raft.ServerAddress, a *raft.RequestVoteRequest, r *raft.RequestVoteResponse) error {
	s.stands = true
	return s.Call("RequestVote", string(to), a, r)
}

func (s *server) RequestPreVote(_ raft.ServerID, to raft.ServerAddress, a *raft.RequestPreVoteRequest, r *raft.RequestPreVoteResponse) error {
	s.stands = false
	return s.Call("RequestPreVote", string(to), a, r)
}

func (s *server) TimeoutNow(_ raft.ServerID, to raft.ServerAddress, a *raft.TimeoutNowRequest, r *raft.TimeoutNowResponse) error {
	return s.Call("TimeoutNow", string(to), a, r)
}

func (s *server) Apply(entry *raft.Log) any {
	s.Node.Apply(entry.Index-1, string(entry.Data))
	return nil
}

// Show counts terms and indices from after the bootstrap, which is the first entry and of the first term.
func (s *server) Show() Object {
	term, _ := s.disk.GetUint64([]byte("CurrentTerm"))
	of, _ := s.disk.GetUint64([]byte("LastVoteTerm"))
	vote, _ := s.disk.Get([]byte("LastVoteCand"))
	log, entry := Log{}, raft.Log{}
	for i := uint64(2); s.disk.GetLog(i, &entry) == nil; i++ {
		log.Add(entry.Term-1, string(entry.Data))
	}
	shown := Object{"term": term - 1, "voted_for": nil, "log": log}
	if of == term && len(vote) > 0 {
		shown["voted_for"] = string(vote)
	}
	if s.IsUp {
		shown["members"], shown["commit"] = s.members(), max(s.raft.CommitIndex(), 1)-1
		shown["role"] = strings.ToLower(s.raft.State().String())
		if s.raft.State() == raft.Candidate && !s.stands {
			shown["role"] = "pre-candidate"
		}
	}
	return shown
}
