// A shim around hashicorp/raft, which has threads and clocks of its own: each server lives in a bubble of testing/synctest,
// where time passes only when the driver lets it, and a step ends when all its goroutines wait. Built by `go test -c`, and
// run with GOMAXPROCS=1 and GODEBUG=asyncpreemptoff=1, so that the goroutines take their turns the same way twice; what the
// runtime itself would draw is taken from it by workshop/peers/go_runtime.py.
package hashicorp

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"peers/lines"
)

const tick, patience = 10 * time.Millisecond, 3 // of a second to an election; in timers, until a call fails

type server struct {
	sync.Mutex
	raft      *raft.Raft // nil when down
	name      string
	store     store
	snapshots *raft.InmemSnapshotStore
	register  *lines.Register
	answer    *lines.Answer
	inbox     chan raft.RPC
	waiting   map[string]*call // calls that are not answered
	called    map[string]int   // how often, of each kind
	steps     chan func()      // nil when down
	done      chan bool
	gone      chan bool // closed in a crash
	stands    bool      // has asked for votes, not just for pre-votes
}

// A store keeps what there is where an empty log is compacted: its own DeleteRange would then show 2^64-1 entries.
type store struct{ *raft.InmemStore }

func (s store) DeleteRange(from, to uint64) error {
	if from == 0 {
		return nil
	}
	return s.InmemStore.DeleteRange(from, to)
}

type call struct {
	answered chan message
	rang     int // how many timers since it was made
}

// A message is a call or the answer to one.
type message struct {
	Call, Kind, Error string
	Answers           bool
	Body              json.RawMessage
	Data              []byte
}

var t *testing.T
var servers = map[string]*server{}

func TestShim(test *testing.T) {
	t = test
	can := []string{"heartbeat", "propose", "read", "transfer", "change_members"} // "compact" works too: see docs/results/peers.md
	lines.Serve(map[string]any{"can": can, "may": []string{"step down within a term", "ask again", "give up an election",
		"the members change", "members join before they have caught up", "the members before a change commit it", "a former leader sends what it has since",
		"a leader leads on though an answer is of a newer term",
		"a candidate stores what its term's leader sends", "who is no member stands without its own vote"}}, start)
}

func start(names lines.Names, node string) lines.Server {
	if old := servers[node]; old != nil {
		old.stop()
	}
	runtime.Redraw()
	rand.Seed(1) // it draws its timeouts; GODEBUG has to say that this counts
	s := &server{name: node, store: store{raft.NewInmemStore()}, snapshots: raft.NewInmemSnapshotStore(), done: make(chan bool), called: map[string]int{}}
	all := raft.Configuration{}
	for _, name := range names {
		all.Servers = append(all.Servers, raft.Server{ID: raft.ServerID(name), Address: raft.ServerAddress(name)})
	}
	raft.BootstrapCluster(s.config(), s.store, s.store, s.snapshots, s, all)
	s.boot()
	servers[node] = s
	return s
}

func (s *server) config() *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID, c.Logger, c.TrailingLogs = raft.ServerID(s.name), hclog.NewNullLogger(), 0
	c.SnapshotInterval, c.ShutdownOnRemove = 1e6*time.Hour, false
	return c
}

// boot begins a bubble, which does one step after another until the server stops.
func (s *server) boot() {
	s.register, s.waiting, s.steps = lines.NewRegister(), map[string]*call{}, make(chan func())
	go synctest.Test(t, func(*testing.T) {
		s.inbox, s.gone, s.answer = make(chan raft.RPC, 9), make(chan bool), &lines.Answer{}
		s.raft, _ = raft.NewRaft(s.config(), s, s.store, s.store, s.snapshots, s)
		synctest.Wait()
		s.done <- true
		for step := range s.steps {
			step()
			synctest.Wait()
			s.done <- true
		}
		close(s.gone)
		s.raft.Shutdown().Error()
		s.raft = nil
		time.Sleep(2 * tick) // a transfer outlives its server, and no time passes for it once the bubble has ended
		synctest.Wait()
		s.done <- true
	})
	<-s.done
}

func (s *server) stop() {
	if s.raft != nil {
		close(s.steps)
		<-s.done
	}
}

func (s *server) Step(r lines.Request, answer *lines.Answer) {
	s.answer = answer
	switch r.Do {
	case "crash":
		s.stop()
		answer.Sent = nil
		return
	case "restart":
		s.boot()
	default:
		s.steps <- func() { s.step(r) }
		<-s.done
	}
	slices.SortFunc(answer.Sent, func(a, b map[string]any) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
}

func (s *server) step(r lines.Request) {
	leads := s.raft.State() == raft.Leader
	if r.Do == "timeout" || r.Do == "heartbeat" {
		s.giveUp()
	}
	switch r.Do {
	case "timeout":
		for waited := 0; !leads && len(s.answer.Sent) == 0 && waited < 500; waited++ {
			time.Sleep(tick)
			synctest.Wait()
		}
	case "heartbeat":
		for waited := 0; leads && waited < 20; waited++ {
			time.Sleep(tick)
		}
	case "receive":
		s.receive(r)
	case "propose":
		go s.raft.Apply(s.register.Propose(r.Value), 0)
	case "read":
		go s.read()
	case "compact":
		go s.raft.Snapshot()
	case "change_members":
		s.change(r.Members)
		time.Sleep(2 * time.Millisecond) // one that has to wait is refused: no step makes two changes
	case "transfer":
		go s.raft.LeadershipTransferToServer(raft.ServerID(r.To), raft.ServerAddress(r.To))
	}
}

// change asks for one server more or less: the library changes one at a time.
func (s *server) change(members []string) {
	now := s.members()
	for _, name := range members {
		if !slices.Contains(now, name) {
			go s.raft.AddVoter(raft.ServerID(name), raft.ServerAddress(name), 0, time.Millisecond)
			return
		}
	}
	for _, name := range now {
		if !slices.Contains(members, name) {
			go s.raft.RemoveServer(raft.ServerID(name), 0, time.Millisecond)
			return
		}
	}
}

func (s *server) members() (names []string) {
	for _, member := range s.raft.GetConfiguration().Configuration().Servers {
		names = append(names, string(member.ID))
	}
	return names
}

// giveUp ends the calls that nobody has answered for long.
func (s *server) giveUp() {
	for _, name := range slices.Sorted(maps.Keys(s.waiting)) {
		call := s.waiting[name]
		if call.rang++; call.rang > patience {
			delete(s.waiting, name)
			call.answered <- message{Error: "no answer"}
		}
	}
	synctest.Wait()
}

func (s *server) read() {
	if s.raft.Barrier(0).Error() == nil {
		s.answer.Read = append(s.answer.Read, s.register.Value)
	}
}

func (s *server) send(to string, m message) {
	s.Lock()
	defer s.Unlock()
	s.answer.Send(to, m)
}

func (s *server) receive(r lines.Request) {
	m := message{}
	json.Unmarshal(r.Message, &m)
	if call := s.waiting[m.Call]; m.Answers {
		if delete(s.waiting, m.Call); call != nil {
			call.answered <- m
		}
		return
	}
	command := map[string]any{"AppendEntries": &raft.AppendEntriesRequest{}, "Heartbeat": &raft.AppendEntriesRequest{},
		"RequestVote": &raft.RequestVoteRequest{}, "RequestPreVote": &raft.RequestPreVoteRequest{},
		"InstallSnapshot": &raft.InstallSnapshotRequest{}, "TimeoutNow": &raft.TimeoutNowRequest{}}[m.Kind]
	json.Unmarshal(m.Body, command)
	result := make(chan raft.RPCResponse, 1)
	s.inbox <- raft.RPC{Command: command, RespChan: result, Reader: bytes.NewReader(m.Data)}
	go func() {
		select {
		case done := <-result:
			m.Answers, m.Data = true, nil
			m.Body, _ = json.Marshal(done.Response)
			if done.Error != nil {
				m.Error = done.Error.Error()
			}
			s.send(r.Sender, m)
		case <-s.gone:
		}
	}()
}

var moment = regexp.MustCompile(`"AppendedAt":"[^"]*"`) // not the same twice

func (s *server) call(kind string, to raft.ServerAddress, args, result any, data io.Reader) error {
	m := message{Kind: kind}
	m.Body, _ = json.Marshal(args)
	m.Body = moment.ReplaceAll(m.Body, []byte(`"AppendedAt":"0001-01-01T00:00:00Z"`))
	if data != nil {
		m.Data, _ = io.ReadAll(data)
	}
	s.Lock()
	s.called[kind+string(to)]++
	m.Call = fmt.Sprint(kind, " ", to, " ", s.called[kind+string(to)])
	answered := make(chan message, 1)
	s.waiting[m.Call] = &call{answered: answered}
	s.Unlock()
	s.send(string(to), m)
	select {
	case m = <-answered:
		if m.Error != "" {
			return errors.New(m.Error)
		}
		return json.Unmarshal(m.Body, result)
	case <-s.gone:
		time.Sleep(tick) // a transfer asks again at once, and nobody else would have a turn
		return errors.New("crashed")
	}
}

// What the library asks of a transport and of a state machine.

func (s *server) Consumer() <-chan raft.RPC { return s.inbox }

func (s *server) LocalAddr() raft.ServerAddress { return raft.ServerAddress(s.name) }

func (s *server) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

func (s *server) AppendEntries(_ raft.ServerID, to raft.ServerAddress, a *raft.AppendEntriesRequest, r *raft.AppendEntriesResponse) error {
	if len(a.Entries) == 0 && a.PrevLogEntry == 0 && a.LeaderCommitIndex == 0 {
		return s.call("Heartbeat", to, a, r, nil)
	}
	return s.call("AppendEntries", to, a, r, nil)
}

func (s *server) RequestVote(_ raft.ServerID, to raft.ServerAddress, a *raft.RequestVoteRequest, r *raft.RequestVoteResponse) error {
	s.stands = true
	return s.call("RequestVote", to, a, r, nil)
}

func (s *server) RequestPreVote(_ raft.ServerID, to raft.ServerAddress, a *raft.RequestPreVoteRequest, r *raft.RequestPreVoteResponse) error {
	s.stands = false
	return s.call("RequestPreVote", to, a, r, nil)
}

func (s *server) InstallSnapshot(_ raft.ServerID, to raft.ServerAddress, a *raft.InstallSnapshotRequest, r *raft.InstallSnapshotResponse, data io.Reader) error {
	return s.call("InstallSnapshot", to, a, r, data)
}

func (s *server) TimeoutNow(_ raft.ServerID, to raft.ServerAddress, a *raft.TimeoutNowRequest, r *raft.TimeoutNowResponse) error {
	return s.call("TimeoutNow", to, a, r, nil)
}

func (s *server) EncodePeer(_ raft.ServerID, to raft.ServerAddress) []byte { return []byte(to) }

func (s *server) DecodePeer(peer []byte) raft.ServerAddress { return raft.ServerAddress(peer) }

func (s *server) SetHeartbeatHandler(func(raft.RPC)) {}

func (s *server) Apply(entry *raft.Log) any {
	s.register.Apply(entry.Index-1, string(entry.Data), s.answer)
	return nil
}

func (s *server) Snapshot() (raft.FSMSnapshot, error) { return image{s.register.Value}, nil }

func (s *server) Restore(data io.ReadCloser) error {
	return json.NewDecoder(data).Decode(&s.register.Value)
}

type image struct{ value any }

func (i image) Persist(to raft.SnapshotSink) error {
	json.NewEncoder(to).Encode(i.value)
	return to.Close()
}

func (i image) Release() {}

// Show counts terms and indices from after the bootstrap, which is the first entry and of the first term.
func (s *server) Show() map[string]any {
	term, _ := s.store.GetUint64([]byte("CurrentTerm"))
	of, _ := s.store.GetUint64([]byte("LastVoteTerm"))
	vote, _ := s.store.Get([]byte("LastVoteCand"))
	first, _ := s.store.FirstIndex()
	last, _ := s.store.LastIndex()
	if kept, _ := s.snapshots.List(); first == 0 && len(kept) > 0 {
		first = kept[0].Index + 1
	}
	log := [][2]any{}
	for i := max(first, 2); i <= last; i++ {
		entry := raft.Log{}
		s.store.GetLog(i, &entry)
		log = append(log, [2]any{entry.Term - 1, string(entry.Data)})
	}
	shown := map[string]any{"term": term - 1, "voted_for": nil, "role": nil, "log": log, "first": max(first, 2) - 1}
	if of == term && len(vote) > 0 {
		shown["voted_for"] = string(vote)
	}
	if s.raft != nil {
		shown["members"] = s.members()
		shown["commit"] = max(s.raft.CommitIndex(), 1) - 1
		shown["role"] = map[raft.RaftState]string{raft.Follower: "follower", raft.Candidate: "candidate", raft.Leader: "leader"}[s.raft.State()]
		if shown["role"] == "candidate" && !s.stands {
			shown["role"] = "pre-candidate"
		}
	}
	return shown
}
