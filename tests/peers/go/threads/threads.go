// Package threads is for a Raft that has threads, timers and calls of its own. Its servers live in bubbles of
// testing/synctest, where time passes only when the driver lets it, and a step ends when all goroutines wait; its calls become
// messages, and their answers too. What is built with it is a test (`go test -c`), and runs with GOMAXPROCS=1 and
// GODEBUG=asyncpreemptoff=1, so that goroutines take their turns the same way twice; what the runtime itself would draw is
// taken from it by workshop/peers/go_runtime.py.
package threads

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const (
	tick     = 10 * time.Millisecond // in which timers ring
	patience = 3                     // timers ring so often until a call fails
)

var T *testing.T // the test that all is in

// Threads is what a server embeds.
type Threads struct {
	Gone    chan bool   // closed in a crash
	steps   chan func() // nil when down
	done    chan bool
	lock    sync.Mutex
	sent    []parcel
	send    func(to string, message any) // to the driver
	waiting map[string]*call             // calls that are not answered
	called  map[string]int               // how often, of each kind
}

type parcel struct {
	message Message
	to      string
}

type call struct {
	answered chan Message
	rang     int // how many timers since it was made
}

// A Message is a call or the answer to one.
type Message struct {
	Call, Kind, Error string
	Answers           bool
	Body              json.RawMessage
}

// Begin boots a server in a bubble, which does one step after another until it has to stop. A new one draws what others drew
// before it.
func (s *Threads) Begin(send func(to string, message any), boot, stop func()) {
	if s.called == nil {
		s.called, s.done = map[string]int{}, make(chan bool)
		runtime.Redraw()
		rand.Seed(1) // GODEBUG=randseednop=0 has to say that this counts
	}
	s.send, s.waiting, s.steps, s.sent = send, map[string]*call{}, make(chan func()), nil
	go synctest.Test(T, func(*testing.T) {
		s.Gone = make(chan bool)
		boot()
		synctest.Wait()
		s.done <- true
		for step := range s.steps {
			step()
			synctest.Wait()
			s.done <- true
		}
		close(s.Gone)
		stop()
		time.Sleep(2 * tick) // what outlives its server, for no time passes once the bubble has ended
		synctest.Wait()
		s.done <- true
	})
	<-s.done
}

// Do takes a step, and says what it sent, always in the same order.
func (s *Threads) Do(step func()) {
	s.steps <- step
	<-s.done
	slices.SortFunc(s.sent, func(a, b parcel) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	for _, parcel := range s.sent {
		s.send(parcel.to, parcel.message)
	}
	s.sent = nil
}

// End stops the server; what it sends meanwhile is lost.
func (s *Threads) End() {
	close(s.steps)
	<-s.done
	s.sent = nil
}

// Ring has timers ring: time passes, until enough has come about or so many ticks have passed. Calls that nobody has
// answered for long are given up first.
func (s *Threads) Ring(most int, enough func() bool) {
	s.giveUp()
	for passed := 0; !enough() && passed < most; passed++ {
		time.Sleep(tick)
		synctest.Wait()
	}
}

// HasSent is whether anything left the server in this step.
func (s *Threads) HasSent() bool { return len(s.sent) > 0 }

func (s *Threads) giveUp() {
	for _, name := range slices.Sorted(maps.Keys(s.waiting)) {
		call := s.waiting[name]
		if call.rang++; call.rang > patience {
			delete(s.waiting, name)
			call.answered <- Message{Error: "no answer"}
		}
	}
	synctest.Wait()
}

func (s *Threads) put(to string, m Message) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.sent = append(s.sent, parcel{m, to})
}

// Arrive takes a message: an answer goes to who waits for it; a call goes to `serve`, as a copy of what it was made with, and
// what comes of it, in its own time, is sent back.
func (s *Threads) Arrive(sender string, text []byte, serve func(args any) (result any, failed error)) {
	m := Message{}
	json.Unmarshal(text, &m)
	if call := s.waiting[m.Call]; m.Answers {
		if delete(s.waiting, m.Call); call != nil {
			call.answered <- m
		}
		return
	}
	args := reflect.New(types[m.Kind].Elem()).Interface()
	json.Unmarshal(m.Body, args)
	go func() {
		result, failed := serve(args)
		m.Answers = true
		m.Body, _ = json.Marshal(result)
		if failed != nil {
			m.Error = failed.Error()
		}
		s.put(sender, m)
	}()
}

// Wait is for what comes out of a channel, unless the server crashes before.
func Wait[T any](s *Threads, from <-chan T) (came T, failed error) {
	select {
	case came = <-from:
		return came, nil
	case <-s.Gone:
		time.Sleep(tick) // who asks again at once leaves nobody else a turn
		return came, errors.New("crashed")
	}
}

var moment = regexp.MustCompile(`"AppendedAt":"[^"]*"`) // not the same twice

var types = map[string]reflect.Type{} // of what calls are made with, by their kinds

// Call sends a call, and waits for what it is answered. What it is made with, and its result, are pointers.
func (s *Threads) Call(kind, to string, args, result any) error {
	m := Message{Kind: kind}
	m.Body, _ = json.Marshal(args)
	m.Body = moment.ReplaceAll(m.Body, []byte(`"AppendedAt":"0001-01-01T00:00:00Z"`))
	s.lock.Lock()
	types[kind] = reflect.TypeOf(args)
	s.called[kind+to]++
	m.Call = fmt.Sprint(kind, " ", to, " ", s.called[kind+to])
	answered := make(chan Message, 1)
	s.waiting[m.Call] = &call{answered: answered}
	s.lock.Unlock()
	s.put(to, m)
	m, failed := Wait(s, answered)
	if m.Error != "" {
		failed = errors.New(m.Error)
	}
	if failed != nil {
		return failed
	}
	return json.Unmarshal(m.Body, result)
}
