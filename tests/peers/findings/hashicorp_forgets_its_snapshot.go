// hashicorp/raft 1.8.0 alone (go run, in tests/peers/go), with TrailingLogs 0: a follower that is sent a snapshot, and has
// entries after it, does not know the entry at which its log was cut. It refuses what follows, and is sent it for ever.
package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/raft"
)

func main() { // n1 is the follower; of n2, the leader of term 2, there is only what it sends
	both := raft.Configuration{Servers: []raft.Server{{ID: "n1", Address: "n1"}, {ID: "n2", Address: "n2"}}}
	_, n1 := raft.NewInmemTransport("n1")
	_, n2 := raft.NewInmemTransport("n2")
	n2.Connect("n1", n1)
	config, store := raft.DefaultConfig(), raft.NewInmemStore()
	config.LocalID, config.LogLevel, config.TrailingLogs = "n1", "off", 0
	first := &raft.Log{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(both)}
	store.StoreLogs([]*raft.Log{first, {Index: 2, Term: 1}, {Index: 3, Term: 1}, {Index: 4, Term: 1}})
	store.SetUint64([]byte("CurrentTerm"), 2)
	raft.NewRaft(config, &raft.MockFSM{}, store, store, raft.NewInmemSnapshotStore(), n1)
	time.Sleep(100 * time.Millisecond)

	header := raft.RPCHeader{ProtocolVersion: 3, ID: []byte("n2"), Addr: []byte("n2")}
	for range 3 {
		image := strings.NewReader("\x90") // an empty list
		ask := raft.InstallSnapshotRequest{RPCHeader: header, SnapshotVersion: 1, Term: 2, LastLogIndex: 3, LastLogTerm: 1,
			Configuration: first.Data, ConfigurationIndex: 1, Size: 1}
		installed, next := raft.InstallSnapshotResponse{}, raft.AppendEntriesResponse{}
		n2.InstallSnapshot("n1", "n1", &ask, &installed, image)
		more := []*raft.Log{{Index: 4, Term: 2}}
		n2.AppendEntries("n1", "n1", &raft.AppendEntriesRequest{RPCHeader: header, Term: 2, PrevLogEntry: 3,
			PrevLogTerm: 1, Entries: more}, &next)
		fmt.Printf("a snapshot up to 3 is taken: %v; entry 4 after it: %v\n", installed.Success, next.Success)
	}
}
