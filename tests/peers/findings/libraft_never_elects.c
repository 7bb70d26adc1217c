/* libraft 0.15.0 alone (cc -w FILE -lraft), with pre-votes: who refuses one answers with the term that it was asked for, not
   with its own. Whoever has the longer log and the older term never learns the newer one, and a majority elects nobody. */
#include <raft.h>
#include <raft/fixture.h>
#include <stdio.h>

static int apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result) { return *result = NULL, 0; }
static struct raft_fsm fsm = {.version = 1, .apply = apply};
static struct raft_fixture f;
static struct raft_configuration all;

int main(int argc, char **argv) {
    struct raft_entry entry = {.term = 1, .type = RAFT_COMMAND, .buf = {raft_calloc(1, 8), 8}};
    raft_fixture_initialize(&f);
    for (int i = 0; i < 3; i++) raft_fixture_grow(&f, &fsm);
    raft_fixture_configuration(&f, 3, &all);
    raft_fixture_bootstrap(&f, &all);
    if (argc == 1) raft_fixture_add_entry(&f, 0, &entry); /* of the leader of term 1, who proposed it to nobody else */
    raft_fixture_set_term(&f, 1, 3);                      /* who stood twice since, in vain */
    for (int i = 0; i < 3; i++) raft_set_pre_vote(raft_fixture_get(&f, i), true);
    raft_fixture_start(&f);
    raft_fixture_kill(&f, 2);

    int elected = raft_fixture_step_until_has_leader(&f, 1000 * 1000); /* milliseconds: hundreds of election timeouts */
    for (int i = 0; i < 2; i++) {
        struct raft *server = raft_fixture_get(&f, i);
        printf("server %d is in term %llu with %llu entries; ", i, server->current_term, raft_last_index(server));
    }
    printf("they have %s\n", elected ? "a leader" : "no leader after 1,000 s");
}
