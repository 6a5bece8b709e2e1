/*
 * Sessions under a rate, on a clock of the test's own: who waits, how long,
 * and what may happen meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "tests/lib/rig.h"
#include "tests/lib/test.h"

#define SECOND 1000000000ull
#define MS 1000000ull

static uint8_t data[256 * 1024];

static struct rig *
rig_with(uint64_t read_rate, uint64_t write_rate, uint32_t metadata_rate)
{
    struct tenant_limits l = rig_limits;
    struct rig *rig;

    l.read_rate = read_rate;
    l.write_rate = write_rate;
    l.metadata_rate = metadata_rate;
    rig = rig_new(&l);
    for (unsigned i = 0; i < PAYS_ENDS; i++) { /* a second's worth, less than a message */
        struct rate *r = &rig->tenant.pace[i].rate;

        r->have = r->burst = (int64_t)r->per_second;
    }
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7 + i / 4096);
    synth_put_dir(rig->rw, "dir");
    synth_put_file(rig->rw, "file", data, sizeof(data));
    return rig;
}

static void
later(struct rig *rig, uint64_t ns)
{
    rig->tenant.now += ns;
    rig_run(rig);
}

static unsigned
replies(struct guest *g)
{
    struct msg m;
    unsigned n = 0;

    while (guest_next(g, &m)) {
        assert_int_equal(msg_errno(&m), 0);
        n++;
    }
    return n;
}

static void
send_getattrs(struct guest *g, uint16_t first, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        guest_send(g, TGETATTR, (uint16_t)(first + i), "48", 0u, (uint64_t)0x7ff);
    rig_run(g->rig);
}

/* Until nothing is saved up. */
static void
drain(struct guest *g)
{
    struct pace *p = &g->rig->tenant.pace[PAYS_OP];

    while (p->rate.have > 0)
        assert_int_equal(guest_does(g, TGETATTR, "48", 0u, (uint64_t)0), 0);
}

static void
operations_wait_for_their_turn_and_none_is_lost_or_refused(void **state)
{
    struct rig *rig = rig_with(0, 0, 100);
    struct guest *g = guest_new(rig);
    unsigned n = 0;

    (void)state;
    drain(g);
    send_getattrs(g, 0, 50);
    assert_int_equal(replies(g), 0);
    assert_in_range(rig->rounds, 1, 5); /* it waits, it does not spin */
    assert_int_equal(synth_pending(rig->rw), 0);
    assert_int_equal(pace_pause(&rig->tenant), 10);
    for (int i = 0; i < 50; i++) {
        later(rig, SECOND / 100);
        assert_int_equal(replies(g), 1);
        n++;
    }
    assert_int_equal(n, 50);
    assert_int_equal(pace_pause(&rig->tenant), -1);
    rig_free(rig);
}

static void
replies_come_in_the_order_of_the_requests_of_all_connections(void **state)
{
    struct rig *rig = rig_with(0, 0, 100);
    struct guest *g = guest_new(rig), *h = guest_new(rig);

    (void)state;
    drain(g);
    for (uint16_t tag = 0; tag < 20; tag += 2) { /* one by one, in turns */
        send_getattrs(g, tag, 1);
        send_getattrs(h, (uint16_t)(tag + 1), 1);
    }
    for (uint16_t tag = 0; tag < 20; tag++) {
        struct msg m;

        later(rig, SECOND / 100);
        assert_true(guest_next(tag % 2 == 0 ? g : h, &m));
        assert_int_equal(m.tag, tag);
        assert_false(guest_next(tag % 2 == 0 ? h : g, &m));
    }
    rig_free(rig);
}

static void
reads_pay_for_the_bytes_they_got(void **state)
{
    struct rig *rig = rig_with(100000, 0, 0);
    struct guest *g = guest_new(rig);
    unsigned n = 0;

    (void)state;
    guest_open(g, 0, 2, "file", O_RDONLY);
    for (int i = 0; i < 1000; i++) /* nothing is there: nothing is paid */
        assert_int_equal(guest_does(g, TREAD, "484", 2u, (uint64_t)sizeof(data), 4000u), 0);
    for (uint16_t tag = 0; tag < 250; tag++)
        guest_send(g, TREAD, tag, "484", 2u, (uint64_t)0, 4000u);
    rig_run(rig);
    n = replies(g);
    assert_in_range(n, 25, 26); /* what was saved up, and one that overdraws it */
    for (int i = 0; i < 10; i++) {
        unsigned more;

        later(rig, SECOND / 5);
        more = replies(g);
        assert_in_range(more, 4, 6);
        n += more;
    }
    assert_in_range(n, 74, 76);
    later(rig, 10 * SECOND); /* the bucket holds one second */
    assert_in_range(replies(g), 25, 26);
    rig_free(rig);
}

static void
writes_wait_with_their_data_and_arrive_whole(void **state)
{
    struct rig *rig = rig_with(0, 10000, 0);
    struct guest *g = guest_new(rig);
    size_t n;

    (void)state;
    guest_open(g, 0, 2, "file", O_RDWR);
    for (uint16_t tag = 0; tag < 10; tag++)
        guest_send(g, TWRITE, tag, "484r", 2u, (uint64_t)tag * 4000, 4000u, data + 1, (size_t)4000);
    rig_run(rig);
    assert_int_equal(replies(g), 3); /* 10000 were saved up */
    assert_int_equal(synth_calls(rig->rw, OP_WRITE), 3);
    send_getattrs(g, 500, 1);
    assert_int_equal(replies(g), 1); /* another rate */
    for (int i = 0; i < 7; i++)
        later(rig, SECOND * 2 / 5);
    assert_int_equal(replies(g), 7);
    assert_memory_equal(synth_data(rig->rw, "file", &n) + 9 * 4000, data + 1, 4000);
    rig_free(rig);
}

static void
a_request_larger_than_a_second_is_worth_is_served(void **state)
{
    struct rig *rig = rig_with(100, 100, 0);
    struct guest *g = guest_new(rig);

    (void)state;
    guest_open(g, 0, 2, "file", O_RDWR);
    for (uint16_t tag = 0; tag < 3; tag++) {
        guest_send(g, TREAD, tag, "484", 2u, (uint64_t)0, 4000u);
        guest_send(g, TWRITE, (uint16_t)(tag + 10), "484r", 2u, (uint64_t)0, 4000u, data,
                   (size_t)4000);
    }
    rig_run(rig);
    assert_int_equal(replies(g), 2);
    later(rig, 38 * SECOND);
    assert_int_equal(replies(g), 0);
    later(rig, 2 * SECOND);
    assert_int_equal(replies(g), 2);
    later(rig, 40 * SECOND);
    assert_int_equal(replies(g), 2);
    rig_free(rig);
}

static void
who_waits_can_be_flushed_and_is_never_carried_out(void **state)
{
    struct rig *rig = rig_with(10000, 10000, 10);
    struct guest *g = guest_new(rig);
    unsigned before;
    struct msg m;

    (void)state;
    guest_open(g, 0, 2, "file", O_RDWR);
    drain(g);
    rig->tenant.pace[PAYS_READ].rate.have = rig->tenant.pace[PAYS_WRITE].rate.have = 0;
    before = synth_calls(rig->rw, 0);
    guest_send(g, TMKDIR, 1, "4s44", 0u, "new", 0755u, 0u);
    guest_send(g, TREAD, 2, "484", 2u, (uint64_t)0, 4000u);
    guest_send(g, TWRITE, 3, "484r", 2u, (uint64_t)0, 4000u, data, (size_t)4000);
    for (uint16_t tag = 1; tag < 4; tag++)
        guest_send(g, TFLUSH, (uint16_t)(tag + 10), "2", (unsigned)tag);
    rig_run(rig);
    for (uint16_t tag = 11; tag < 14; tag++) {
        assert_true(guest_next(g, &m));
        assert_int_equal(m.type, TFLUSH + 1);
        assert_int_equal(m.tag, tag);
    }
    later(rig, 100 * SECOND);
    assert_false(guest_next(g, &m));
    assert_int_equal(synth_calls(rig->rw, 0), before);
    assert_int_equal(rig->tenant.requests.live, 0);
    assert_int_equal(synth_pages_used(rig->rw), 0);
    rig_free(rig);
}

static void
who_waits_ends_with_its_connection_and_with_its_session(void **state)
{
    struct rig *rig = rig_with(0, 10000, 10);
    struct guest *g = guest_new(rig), *h = guest_new(rig);

    (void)state;
    guest_open(g, 0, 2, "file", O_RDWR);
    guest_open(h, 0, 2, "file", O_RDWR);
    drain(g);
    rig->tenant.pace[PAYS_WRITE].rate.have = 0;
    for (int turn = 0; turn < 2; turn++) {
        struct guest *who = turn == 0 ? g : h;

        send_getattrs(who, 0, 20);
        guest_send(who, TWRITE, 99, "484r", 2u, (uint64_t)0, 4000u, data, (size_t)4000);
        rig_run(rig);
        assert_int_equal(rig->tenant.requests.live, 21);
        if (turn == 0) {
            guest_hang_up(who);
            rig_run(rig);
        } else {
            guest_version(who, 65536);
        }
        assert_int_equal(rig->tenant.requests.live, 0);
        assert_int_equal(rig->tenant.held.live, 0);
        assert_int_equal(pace_pause(&rig->tenant), -1);
    }
    later(rig, 100 * SECOND);
    assert_int_equal(replies(h), 0);
    rig_free(rig);
}

static void
writes_that_wait_end_with_their_share_and_at_no_cost(void **state)
{
    struct rig *rig = rig_with(0, 1000, 0);
    struct guest *g = guest_new(rig), *h = guest_new(rig);
    struct synth *more = rig_add(rig, 2, "more", false, NULL);
    struct msg m;

    (void)state;
    synth_put_file(more, "file", "", 0);
    guest_attach(h, 3, "more");
    guest_open(h, 3, 2, "file", O_RDWR);
    guest_open(g, 0, 2, "file", O_RDWR);
    rig->tenant.pace[PAYS_WRITE].rate.have = 0;
    for (uint16_t tag = 0; tag < 4; tag++)
        guest_send(g, TWRITE, tag, "484r", 2u, (uint64_t)0, 30000u, data, (size_t)30000);
    guest_send(h, TWRITE, 9, "484r", 2u, (uint64_t)0, 100u, data, (size_t)100);
    rig_run(rig);
    tenant_share_leaves(&rig->tenant, 0); /* it drains: they wait */
    rig_run(rig);
    assert_false(guest_next(g, &m));
    tenant_share_cut(&rig->tenant, 0);
    rig_run(rig);
    for (uint16_t tag = 0; tag < 4; tag++) {
        assert_true(guest_next(g, &m));
        assert_int_equal(m.tag, tag);
        assert_int_equal(msg_errno(&m), ESTALE);
    }
    assert_int_equal(synth_pages_used(rig->rw), 0);
    assert_false(guest_next(h, &m));
    later(rig, SECOND / 100); /* whose turn it is now, as if they had never been */
    assert_int_equal(replies(h), 1);
    rig_free(rig);
}

static void
a_half_sent_write_ends_with_its_share_and_what_follows_is_found(void **state)
{
    struct rig *rig = rig_with(0, 0, 0);
    struct guest *g = guest_new(rig);
    uint8_t buf[5000];
    struct msg m;

    (void)state;
    guest_open(g, 0, 2, "file", O_RDWR);
    (void)msg_make(buf, sizeof(buf), TWRITE, 1, "484r", 2u, (uint64_t)0, 4000u, data, (size_t)4000);
    assert_int_equal(guest_bytes(g, buf, 1000), 1000);
    rig_run(rig);
    rig_cut(rig, 0);
    rig_run(rig);
    assert_true(guest_next(g, &m));
    assert_int_equal(msg_errno(&m), ESTALE);
    assert_int_equal(synth_pages_used(rig->rw), 0);
    assert_int_equal(guest_bytes(g, buf + 1000, 3023), 3023);
    assert_int_equal(guest_does(g, TGETATTR, "48", 1u, (uint64_t)0), 0);
    assert_int_equal(guest_does(g, TCLUNK, "4", 2u), 0);
    assert_int_equal(guest_does(g, TCLUNK, "4", 0u), 0);
    rig_run(rig);
    assert_true(synth_ended(rig->rw)); /* nothing holds what is left of it */
    rig_free(rig);
}

static void
what_frees_something_never_waits(void **state)
{
    struct rig *rig = rig_with(0, 0, 50);
    struct guest *g = guest_new(rig);

    (void)state;
    for (uint32_t i = 2; i < 12; i++)
        guest_open(g, 0, i, "file", O_RDONLY);
    drain(g);
    for (uint32_t i = 2; i < 12; i++)
        assert_int_equal(guest_does(g, TCLUNK, "4", i), 0);
    assert_int_equal(synth_files(rig->rw), 0);
    rig_free(rig);
}

static void
no_room_when_its_turn_has_come_is_waited_for_too(void **state)
{
    struct rig *rig = rig_with(0, 0, 100);
    struct guest *g = guest_new(rig), *h = guest_new(rig);
    struct msg m;

    (void)state;
    guest_walk(g, 0, 3, "file");
    drain(g);
    guest_send(g, TLOPEN, 1, "44", 3u, (uint32_t)O_RDONLY);
    guest_send(g, TWALK, 2, "442ss", 0u, 10u, 2u, "dir", "..");
    guest_send(g, TATTACH, 3, "44ss4", 11u, NOFID, "", "rw", 0u);
    guest_send(g, TMKDIR, 4, "4s44", 0u, "new", 0755u, 0u);
    rig_run(rig);
    assert_false(guest_next(g, &m));
    synth_room(rig->rw, 1);
    rig->hold = true;
    rig->tenant.pace[PAYS_OP].rate.have = 1;
    guest_send(h, TGETATTR, 50, "48", 0u, (uint64_t)0); /* behind the others */
    later(rig, SECOND);
    assert_int_equal(synth_pending(rig->rw), 1);
    assert_in_range(rig->rounds, 1, 10);
    assert_int_equal(rig->tenant.pace[PAYS_OP].rate.have, 96); /* paid once each */
    rig->hold = false;
    rig_run(rig);
    for (uint16_t tag = 1; tag < 5; tag++) {
        assert_true(guest_next(g, &m));
        assert_int_equal(m.tag, tag);
        assert_int_equal(msg_errno(&m), 0);
    }
    assert_int_equal(replies(h), 1);
    assert_true(synth_exists(rig->rw, "new"));
    assert_int_equal(rig->tenant.held.live, 0);
    rig_free(rig);
}

static void
a_session_without_rates_looks_at_no_clock(void **state)
{
    struct rig *rig = rig_with(0, 0, 0);
    struct guest *g = guest_new(rig);

    (void)state;
    rig->tenant.now = UINT64_MAX; /* would be wrong for ever */
    assert_false(rig->tenant.paced);
    send_getattrs(g, 0, 200);
    assert_int_equal(replies(g), 200);
    assert_null(rig->tenant.held.chunks);
    rig_free(rig);
}

/* Random requests of four guests under all rates: everything is answered. */
static void
a_crowd_under_all_rates_is_answered_to_the_last(void **state)
{
    struct rig *rig = rig_with(200000, 100000, 300);
    struct guest *g[4];
    unsigned sent = 0, got = 0, seed = 1;

    (void)state;
    for (size_t i = 0; i < COUNT(g); i++) {
        g[i] = guest_new(rig);
        guest_open(g[i], 0, 2, "file", O_RDWR);
    }
    for (int turn = 0; turn < 400; turn++) {
        seed = seed * 1103515245 + 12345;
        for (size_t i = 0; i < COUNT(g); i++) {
            uint16_t tag = (uint16_t)(turn * 3);

            guest_send(g[i], TGETATTR, tag, "48", 0u, (uint64_t)0x7ff);
            guest_send(g[i], TREAD, (uint16_t)(tag + 1), "484", 2u, (uint64_t)(seed >> 16), 1000u);
            guest_send(g[i], TWRITE, (uint16_t)(tag + 2), "484r", 2u, (uint64_t)(seed >> 17), 600u,
                       data, (size_t)600);
            sent += 3;
        }
        later(rig, (seed >> 8) % 50 * MS);
        for (size_t i = 0; i < COUNT(g); i++)
            got += replies(g[i]);
    }
    for (int i = 0; i < 200 && got < sent; i++) {
        later(rig, SECOND);
        for (size_t k = 0; k < COUNT(g); k++)
            got += replies(g[k]);
    }
    assert_int_equal(got, sent);
    rig_free(rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_wait_for_their_turn_and_none_is_lost_or_refused),
        cmocka_unit_test(replies_come_in_the_order_of_the_requests_of_all_connections),
        cmocka_unit_test(reads_pay_for_the_bytes_they_got),
        cmocka_unit_test(writes_wait_with_their_data_and_arrive_whole),
        cmocka_unit_test(a_request_larger_than_a_second_is_worth_is_served),
        cmocka_unit_test(who_waits_can_be_flushed_and_is_never_carried_out),
        cmocka_unit_test(who_waits_ends_with_its_connection_and_with_its_session),
        cmocka_unit_test(writes_that_wait_end_with_their_share_and_at_no_cost),
        cmocka_unit_test(a_half_sent_write_ends_with_its_share_and_what_follows_is_found),
        cmocka_unit_test(what_frees_something_never_waits),
        cmocka_unit_test(no_room_when_its_turn_has_come_is_waited_for_too),
        cmocka_unit_test(a_session_without_rates_looks_at_no_clock),
        cmocka_unit_test(a_crowd_under_all_rates_is_answered_to_the_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
