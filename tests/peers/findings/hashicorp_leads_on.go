// hashicorp/raft 1.8.0 alone (go run, in tests/peers/go): a leader whose heartbeats are answered in a newer term leads on,
// and takes the answers for contact, so that its lease never ends (its issue 666). Figure 2, All Servers 2, has it step down.
package main

import (
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// peer grants its vote, and answers heartbeats in term 100; entries it does not answer.
func peer(transport *raft.InmemTransport) {
	for rpc := range transport.Consumer() {
		switch ask := rpc.Command.(type) {
		case *raft.RequestPreVoteRequest:
			rpc.Respond(&raft.RequestPreVoteResponse{Term: ask.Term, Granted: true}, nil)
		case *raft.RequestVoteRequest:
			rpc.Respond(&raft.RequestVoteResponse{Term: ask.Term, Granted: true}, nil)
		case *raft.AppendEntriesRequest:
			if ask.PrevLogEntry == 0 && len(ask.Entries) == 0 {
				rpc.Respond(&raft.AppendEntriesResponse{Term: 100}, nil)
			}
		}
	}
}

func main() {
	_, n1 := raft.NewInmemTransport("n1")
	_, n2 := raft.NewInmemTransport("n2")
	go peer(n2)
	n1.Connect("n2", n2)
	config, store, snapshots := raft.DefaultConfig(), raft.NewInmemStore(), raft.NewInmemSnapshotStore()
	config.LocalID, config.LogLevel = "n1", "off"
	both := []raft.Server{{ID: "n1", Address: "n1"}, {ID: "n2", Address: "n2"}}
	raft.BootstrapCluster(config, store, store, snapshots, n1, raft.Configuration{Servers: both})
	server, _ := raft.NewRaft(config, &raft.MockFSM{}, store, store, snapshots, n1)
	time.Sleep(10 * time.Second) // twenty times its lease
	fmt.Println("told of term 100 all the time, it is", server.State(), "of term", server.Stats()["term"])
}
