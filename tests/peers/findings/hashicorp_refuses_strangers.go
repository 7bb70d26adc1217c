// hashicorp/raft 1.8.0 alone (go run, in tests/peers/go): requestVote refuses a candidate that the voter's own configuration
// lacks, though that one is not committed (dissertation 4.1 warns of it). All hear each other, and nobody is ever elected.
package main

import (
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

var n1, n2, n3 = raft.Server{ID: "n1", Address: "n1"}, raft.Server{ID: "n2", Address: "n2"}, raft.Server{ID: "n3", Address: "n3"}

func entry(index, term uint64, members ...raft.Server) *raft.Log {
	data := raft.EncodeConfiguration(raft.Configuration{Servers: members})
	return &raft.Log{Index: index, Term: term, Type: raft.LogConfiguration, Data: data}
}

func main() { // n2 led term 2 and n1 term 3; the last entry of neither is committed, all else is
	old := []*raft.Log{entry(1, 1, n1, n2, n3), {Index: 2, Term: 2, Type: raft.LogNoop}}
	newer := append(old[:2:2], &raft.Log{Index: 3, Term: 3, Type: raft.LogNoop}, entry(4, 3, n1, n2))
	logs := [][]*raft.Log{newer, append(old[:2:2], entry(3, 2, n2, n3)), newer}
	wires, servers := make([]*raft.InmemTransport, 3), make([]*raft.Raft, 3)
	for i, me := range []raft.Server{n1, n2, n3} {
		_, wires[i] = raft.NewInmemTransport(me.Address)
		for _, other := range wires[:i] {
			other.Connect(me.Address, wires[i])
			wires[i].Connect(other.LocalAddr(), other)
		}
		config, store := raft.DefaultConfig(), raft.NewInmemStore()
		config.LocalID, config.LogLevel = me.ID, "off"
		store.StoreLogs(logs[i])
		store.SetUint64([]byte("CurrentTerm"), 3)
		servers[i], _ = raft.NewRaft(config, &raft.MockFSM{}, store, store, raft.NewInmemSnapshotStore(), wires[i])
	}
	time.Sleep(20 * time.Second) // ten times as long as an election takes at most
	for i, server := range servers {
		fmt.Printf("n%d: %v of term %s, leader %q\n", i+1, server.State(), server.Stats()["term"], server.Leader())
	}
}
