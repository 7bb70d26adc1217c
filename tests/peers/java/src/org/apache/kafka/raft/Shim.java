// A shim around Kafka's Raft (KRaft), which is polled and has no thread: the log, the store, the queue, the channel and the
// clock are those of its own tests (MockLog ...), chance is here. It lies in Kafka's package for its constructor, and beside
// it the Lines of `oneleader scaffold java`.
package org.apache.kafka.raft;

import java.net.InetSocketAddress;
import java.util.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.config.AbstractConfig;
import org.apache.kafka.common.memory.MemoryPool;
import org.apache.kafka.common.metrics.Metrics;
import org.apache.kafka.common.protocol.*;
import org.apache.kafka.common.utils.*;
import org.apache.kafka.raft.internals.StringSerde;
import org.apache.kafka.server.common.Feature;
import org.apache.kafka.snapshot.SnapshotReader;

public class Shim implements RaftClient.Listener<String>, Lines.Server {
    static final int WAIT = 100, LONGEST = 3000; // milliseconds: of a fetch, and until whoever hears nothing has asked for votes
    static final QuorumConfig CONFIG = new QuorumConfig(new AbstractConfig(QuorumConfig.CONFIG_DEF, Map.of(
        QuorumConfig.QUORUM_LINGER_MS_CONFIG, 0, QuorumConfig.QUORUM_REQUEST_TIMEOUT_MS_CONFIG, 1000,
        QuorumConfig.QUORUM_RETRY_BACKOFF_MS_CONFIG, 1)));

    final List<String> names;
    final int id;
    final MockLog log = new MockLog(new TopicPartition("log", 0), new Uuid(2, 2), new LogContext());
    final MockQuorumStateStore store = new MockQuorumStateStore();
    final MockTime clock = new MockTime(0, 1, 0);
    final MockNetworkChannel channel = new MockNetworkChannel(); // what is late finds its caller, which may have crashed
    KafkaRaftClient<String> raft; // null when down
    Lines.Answer answer;

    Shim(String name, List<String> names) {
        this.names = names;
        id = names.indexOf(name) + 1;
        boot();
        raft.poll();
    }

    void boot() {
        Map<Integer, InetSocketAddress> all = new TreeMap<>();
        for (int i = 1; i <= names.size(); i++) all.put(i, InetSocketAddress.createUnresolved("n" + i, i));
        raft = new KafkaRaftClient<>(OptionalInt.of(id), new Uuid(9, id), new StringSerde(), channel, new MockMessageQueue(), log,
            MemoryPool.NONE, clock, new MockExpirationService(clock), WAIT, false, new Uuid(1, 1).toString(), List.of(),
            Endpoints.fromInetSocketAddresses(Map.of(MockNetworkChannel.LISTENER_NAME, all.get(id))), Feature.KRAFT_VERSION.supportedVersionRange(),
            new LogContext(), new Random(id), CONFIG);
        raft.register(this);
        raft.initialize(all, store, new Metrics(clock), ignored -> {});
    }

    public void step(Map<String, String> ask, Lines.Answer answer) {
        this.answer = answer;
        switch (ask.get("do")) {
            case "timeout" -> { // in small steps, until it asks for votes
                for (int waited = 0; waited < LONGEST && !asksForVotes(); waited += WAIT) pass();
            }
            case "heartbeat" -> { if (raft.quorum().isLeader()) pass(); }
            case "receive" -> receive(names.indexOf(ask.get("sender")) + 1, (RaftMessage) Lines.sent(ask));
            case "propose" -> { if (raft.quorum().isLeader()) propose(ask.get("value")); }
            case "crash" -> raft = null;
            case "restart" -> { log.reopen(); boot(); }
        }
        settle();
    }

    boolean asksForVotes() {
        return raft.quorum().isLeader() || answer.sent.stream().anyMatch(sent -> sent.contains("VOTE of"));
    }

    void pass() {
        clock.sleep(WAIT);
        settle();
    }

    void settle() {
        for (int i = 0; raft != null && i < 5; i++) { // it does one thing at a time
            raft.poll();
            for (RaftRequest.Outbound sent : channel.drainSendQueue())
                if (sent.destination().id() != id) send(sent.destination().id(), sent);
        }
    }

    void propose(String value) {
        raft.prepareAppend(raft.quorum().epoch(), List.of(value));
        raft.schedulePreparedAppend();
        answer.proposed(value);
    }

    void receive(int sender, RaftMessage message) {
        if (message instanceof RaftResponse) {
            try {
                channel.mockReceive(new RaftResponse.Inbound(message.correlationId(), message.data(), new Node(sender, "n" + sender, sender)));
            } catch (IllegalStateException nobodyWaits) { }
            return;
        }
        RaftRequest.Inbound request = new RaftRequest.Inbound(MockNetworkChannel.LISTENER_NAME, message.correlationId(),
            ApiKeys.forId(message.data().apiKey()).latestVersion(true), (ApiMessage) message.data().duplicate(), clock.milliseconds());
        KafkaRaftClient<String> mine = raft;
        request.completion.whenComplete((done, failed) -> { if (raft == mine && failed == null) send(sender, done); });
        raft.handle(request);
    }

    void send(int to, RaftMessage message) {
        String more = message instanceof RaftResponse ? " answer" : " of epoch " + raft.quorum().epoch();
        answer.send(names.get(to - 1), ApiKeys.forId(message.data().apiKey()) + more, message);
    }

    public void handleCommit(BatchReader<String> reader) {
        try (reader) {
            reader.forEachRemaining(batch -> {
                long index = batch.baseOffset();
                for (String value : batch.records()) answer.apply(++index, value);
            });
        }
    }

    public void handleLoadSnapshot(SnapshotReader<String> reader) { reader.close(); }

    public String show() {
        Optional<ElectionState> stored = store.readElectionState();
        int term = raft == null ? stored.map(ElectionState::epoch).orElse(0) : raft.quorum().epoch();
        // A leader no longer stores its vote for itself.
        Optional<Integer> vote = stored.flatMap(s -> s.isLeader(id) ? Optional.of(id) : s.optionalVotedKey().map(ReplicaKey::id));
        String role = raft == null ? null : raft.quorum().isLeader() ? "leader" : raft.quorum().isCandidate() ? "candidate"
            : raft.quorum().isProspective() ? "pre-candidate" : "follower";
        List<String> entries = new ArrayList<>();
        for (MockLog.LogBatch batch : log.readBatches(0, OptionalLong.empty()))
            for (MockLog.LogEntry entry : batch.entries)
                entries.add("[" + batch.epoch + "," + Lines.quoted(batch.isControlBatch ? "" : Utils.utf8(entry.record.value())) + "]");
        return "\"term\":" + term + ",\"voted_for\":" + Lines.quoted(vote.map(v -> names.get(v - 1)).orElse(null)) + ",\"role\":"
            + Lines.quoted(role) + ",\"log\":" + entries + (raft == null ? "" : ",\"commit\":" + log.highWatermark().offset());
    }

    public static void main(String[] arguments) throws java.io.IOException {
        Lines.serve("\"network\":\"tcp\",\"can\":[\"heartbeat\",\"propose\"],\"may\":[\"step down within a term\",\"ask again\",\"give up an election\",\"a candidate restarts as one\","
            + "\"a leader leads on though an answer is of a newer term\",\"a term is passed over\",\"drop conflicting entries early\"]", Shim::new);
    }
}
