// Package lines speaks the protocol of docs/any-language.md: a request a line, an answer a line.
package lines

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

type Request struct {
	Id                          int
	Do, Node, Sender, Value, To string
	Nodes, Members              []string
	Message                     json.RawMessage
}

// Answer says what a step did and what can be seen of its server afterwards.
type Answer struct {
	Id       int              `json:"id"`
	Server   map[string]any   `json:"server"`
	Sent     []map[string]any `json:"sent,omitempty"`
	Applied  [][2]any         `json:"applied,omitempty"`
	Answered []any            `json:"answered,omitempty"`
	Read     []any            `json:"read,omitempty"`
	Error    string           `json:"error,omitempty"`
}

func (a *Answer) Send(to, message any) {
	a.Sent = append(a.Sent, map[string]any{"to": to, "message": message})
}

type Server interface {
	Step(request Request, answer *Answer)
	Show() map[string]any
}

// Names turns names into the numbers from 1 that many libraries want, and back; 0 is nobody.
type Names []string

func (n Names) Id(name string) uint64 { return uint64(slices.Index(n, name) + 1) }

func (n Names) Ids() (ids []uint64) {
	for i := range n {
		ids = append(ids, uint64(i+1))
	}
	return ids
}

func (n Names) Name(id uint64) any {
	if id == 0 {
		return nil
	}
	return n[id-1]
}

// Register is the state machine: one value, the last that was proposed. Its clients wait at their server.
type Register struct {
	Applied  uint64
	Value    any
	proposed map[string]bool
	asked    map[string]bool
}

var reads int

func NewRegister() *Register { return &Register{proposed: map[string]bool{}, asked: map[string]bool{}} }

func (r *Register) Propose(value string) []byte {
	r.proposed[value] = true
	return []byte(value)
}

// Ask names a read; Asked says whether it waits for an answer, which may come twice.
func (r *Register) Ask() []byte {
	reads++
	r.asked[fmt.Sprint("read ", reads)] = true
	return fmt.Append(nil, "read ", reads)
}

func (r *Register) Asked(read []byte) bool {
	waits := r.asked[string(read)]
	delete(r.asked, string(read))
	return waits
}

// Apply gives the register an entry; one without a value changes nothing.
func (r *Register) Apply(index uint64, value string, answer *Answer) {
	r.Applied, answer.Applied = index, append(answer.Applied, [2]any{index, value})
	if value != "" {
		r.Value = value
	}
	if r.proposed[value] {
		answer.Answered = append(answer.Answered, value)
	}
}

// Serve answers until there are no more requests. It makes a new server for each name at each start.
func Serve(hello map[string]any, make func(names Names, node string) Server) {
	requests, out := json.NewDecoder(bufio.NewReader(os.Stdin)), json.NewEncoder(os.Stdout)
	servers := map[string]Server{}
	for {
		r := Request{}
		if requests.Decode(&r) != nil {
			return
		}
		switch r.Do {
		case "hello":
			hello["id"], hello["version"] = r.Id, 1
			out.Encode(hello)
		case "start":
			reads = 0
			shown := map[string]any{}
			for _, node := range r.Nodes {
				servers[node] = make(r.Nodes, node)
				shown[node] = servers[node].Show()
			}
			out.Encode(map[string]any{"id": r.Id, "servers": shown})
		default:
			out.Encode(step(servers[r.Node], r))
		}
	}
}

func step(server Server, r Request) (answer *Answer) {
	answer = &Answer{Id: r.Id}
	defer func() {
		if why := recover(); why != nil {
			answer = &Answer{Id: r.Id, Error: fmt.Sprint(why)}
		}
	}()
	server.Step(r, answer)
	answer.Server = server.Show()
	return answer
}
