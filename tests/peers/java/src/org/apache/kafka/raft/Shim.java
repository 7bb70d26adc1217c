// A shim around Kafka's Raft (KRaft), which is polled and has no thread: the log, the store, the queue and the channel
// are those of its own tests (MockLog ...), the clock and chance are here. It lies in Kafka's package for its constructor,
// and beside it the Lines of `oneleader scaffold java`.
package org.apache.kafka.raft;

import java.net.InetSocketAddress;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.apache.kafka.common.*;
import org.apache.kafka.common.config.AbstractConfig;
import org.apache.kafka.common.memory.MemoryPool;
import org.apache.kafka.common.metrics.Metrics;
import org.apache.kafka.common.network.ListenerName;
import org.apache.kafka.common.protocol.*;
import org.apache.kafka.common.utils.*;
import org.apache.kafka.raft.internals.StringSerde;
import org.apache.kafka.server.common.Feature;
import org.apache.kafka.snapshot.SnapshotReader;

public class Shim implements RaftClient.Listener<String>, Lines.Server {
    static final int ELECTION = 1000, FETCH = 2000, WAIT = 100; // milliseconds: to an election, without a leader, of a fetch
    static final ListenerName LISTENER = ListenerName.normalised("LISTENER");
    static final Uuid CLUSTER = new Uuid(1, 1), TOPIC = new Uuid(2, 2);
    static final QuorumConfig CONFIG = new QuorumConfig(new AbstractConfig(QuorumConfig.CONFIG_DEF, Map.of(
        QuorumConfig.QUORUM_ELECTION_TIMEOUT_MS_CONFIG, ELECTION, QuorumConfig.QUORUM_FETCH_TIMEOUT_MS_CONFIG, FETCH,
        QuorumConfig.QUORUM_LINGER_MS_CONFIG, 0, QuorumConfig.QUORUM_REQUEST_TIMEOUT_MS_CONFIG, ELECTION,
        QuorumConfig.QUORUM_RETRY_BACKOFF_MS_CONFIG, 1)));

    record Sent(int correlation, ApiMessage data, boolean answers) {}

    static final List<Sent> messages = new ArrayList<>(); // each goes by its number

    static class Clock implements Time, ExpirationService {
        long now = 1;
        final PriorityQueue<Map.Entry<Long, Runnable>> due = new PriorityQueue<>(Comparator.comparingLong(Map.Entry::getKey));

        public long milliseconds() { return now; }
        public long nanoseconds() { return now * 1_000_000; }
        public void waitObject(Object o, Supplier<Boolean> done, long deadline) { throw new UnsupportedOperationException(); }
        public void sleep(long ms) {
            now += ms;
            while (!due.isEmpty() && due.peek().getKey() <= now) due.poll().getValue().run();
        }
        public <T> CompletableFuture<T> failAfter(long ms) {
            CompletableFuture<T> future = new CompletableFuture<>();
            due.add(Map.entry(now + ms, () -> future.completeExceptionally(new org.apache.kafka.common.errors.TimeoutException())));
            return future;
        }
    }

    final List<String> names;
    final int id;
    final MockLog log = new MockLog(new TopicPartition("log", 0), TOPIC, new LogContext());
    final MockQuorumStateStore store = new MockQuorumStateStore();
    final Set<String> proposed = new HashSet<>();
    final Clock clock = new Clock();
    MockNetworkChannel channel = new MockNetworkChannel();
    Lines.Answer answer;
    KafkaRaftClient<String> raft; // null when down

    Shim(String name, List<String> names) {
        this.names = names;
        id = names.indexOf(name) + 1;
        if (id == 1) messages.clear(); // a new cluster
        boot();
        raft.poll();
    }

    void boot() {
        Map<Integer, InetSocketAddress> all = new TreeMap<>();
        for (int i = 1; i <= names.size(); i++) all.put(i, InetSocketAddress.createUnresolved("n" + i, i));
        Endpoints mine = Endpoints.fromInetSocketAddresses(Map.of(LISTENER, all.get(id)));
        channel = new MockNetworkChannel(new AtomicInteger(channel.newCorrelationId()));
        proposed.clear();
        clock.due.clear();
        raft = new KafkaRaftClient<>(OptionalInt.of(id), new Uuid(9, id), new StringSerde(), channel, new MockMessageQueue(),
            log, MemoryPool.NONE, clock, clock, WAIT, false, CLUSTER.toString(), List.of(), mine,
            Feature.KRAFT_VERSION.supportedVersionRange(), new LogContext(), new Random(id), CONFIG);
        raft.register(this);
        raft.initialize(all, store, new Metrics(clock), ignored -> {});
    }

    public void step(Map<String, String> ask, Lines.Answer answer) {
        this.answer = answer;
        switch (ask.get("do")) {
            case "timeout" -> { // in small steps, until it asks for votes
                for (int waited = 0; waited < FETCH + ELECTION && !asksForVotes(); waited += WAIT) pass();
            }
            case "heartbeat" -> { if (raft.quorum().isLeader()) pass(); }
            case "receive" -> receive(names.indexOf(ask.get("sender")) + 1,
                messages.get(Integer.parseInt(Lines.parse(ask.get("message")).get("number"))));
            case "propose" -> {
                if (raft.quorum().isLeader()) {
                    raft.prepareAppend(raft.quorum().epoch(), List.of(ask.get("value")));
                    raft.schedulePreparedAppend();
                    proposed.add(ask.get("value"));
                }
            }
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
                if (sent.destination().id() != id) send(sent.destination().id(), new Sent(sent.correlationId(), sent.data(), false));
        }
    }

    void receive(int sender, Sent message) {
        if (message.answers) {
            try {
                channel.mockReceive(new RaftResponse.Inbound(message.correlation, message.data, new Node(sender, "n" + sender, sender)));
            } catch (IllegalStateException | NullPointerException nobodyWaits) { }
            return;
        }
        ApiKeys key = ApiKeys.forId(message.data.apiKey());
        RaftRequest.Inbound request = new RaftRequest.Inbound(LISTENER, message.correlation, key.latestVersion(true), (ApiMessage) message.data.duplicate(), clock.now);
        KafkaRaftClient<String> mine = raft;
        request.completion.whenComplete((done, failed) -> {
            if (raft == mine && failed == null) send(sender, new Sent(message.correlation, done.data(), true));
        });
        raft.handle(request);
    }

    void send(int to, Sent message) {
        String kind = ApiKeys.forId(message.data.apiKey()) + (message.answers ? " answer" : " of epoch " + raft.quorum().epoch());
        answer.send(names.get(to - 1), "{\"number\":" + messages.size() + ",\"kind\":" + Lines.quoted(kind) + "}");
        messages.add(message);
    }

    public void handleCommit(BatchReader<String> reader) {
        try (reader) {
            while (reader.hasNext()) {
                Batch<String> batch = reader.next();
                for (int i = 0; i < batch.records().size(); i++) {
                    String value = batch.records().get(i);
                    answer.applied.add("[" + (batch.baseOffset() + i + 1) + "," + Lines.quoted(value) + "]");
                    if (proposed.remove(value)) answer.answered.add(Lines.quoted(value));
                }
            }
        }
    }

    public void handleLoadSnapshot(SnapshotReader<String> reader) { reader.close(); }

    public String show() {
        Optional<ElectionState> stored = store.readElectionState();
        int term = raft == null ? stored.map(ElectionState::epoch).orElse(0) : raft.quorum().epoch();
        int voted = stored.map(s -> s.optionalVotedKey().map(ReplicaKey::id).orElse(s.isLeader(id) ? id : 0)).orElse(0);
        String vote = voted == 0 ? null : names.get(voted - 1); // a leader no longer stores its vote for itself
        String role = raft == null ? null : raft.quorum().isLeader() ? "leader" : raft.quorum().isCandidate() ? "candidate"
            : raft.quorum().isProspective() ? "pre-candidate" : "follower";
        List<String> entries = new ArrayList<>();
        for (MockLog.LogBatch batch : log.readBatches(0, OptionalLong.empty()))
            for (MockLog.LogEntry entry : batch.entries)
                entries.add("[" + batch.epoch + "," + Lines.quoted(batch.isControlBatch ? "" : Utils.utf8(entry.record.value())) + "]");
        return "\"term\":" + term + ",\"voted_for\":" + Lines.quoted(vote) + ",\"role\":" + Lines.quoted(role) + ",\"log\":" + entries
            + (raft == null ? "" : ",\"commit\":" + log.highWatermark().offset());
    }

    public static void main(String[] arguments) throws java.io.IOException {
        Lines.serve("\"network\":\"tcp\",\"can\":[\"heartbeat\",\"propose\"],\"may\":[\"step down within a term\",\"ask again\","
            + "\"give up an election\",\"a candidate restarts as one\",\"a term is passed over\",\"drop conflicting entries early\"]", Shim::new);
    }
}
