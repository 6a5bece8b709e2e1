/*
 * What is read from the control socket, and who holds a share.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/control.h"

static size_t
an_add(uint8_t *bytes, const char *settings)
{
    Postern__V1__ShareAdd add = POSTERN__V1__SHARE_ADD__INIT;
    Postern__V1__ControlRequest req = POSTERN__V1__CONTROL_REQUEST__INIT;
    size_t n;

    req.version = CONTROL_VERSION;
    req.share_add = &add;
    add.tenant = (char[]){"blue"};
    add.reservation = (char[]){"vm1"};
    add.share = (char[]){"tools"};
    add.settings = strdup(settings);
    n = postern__v1__control_request__pack(&req, bytes);
    free(add.settings);
    return n;
}

static void
free_request(Postern__V1__ControlRequest *req)
{
    if (req != NULL)
        postern__v1__control_request__free_unpacked(req, NULL);
}

static void
a_request_is_read_and_every_part_of_it_is_not(void **state)
{
    uint8_t bytes[256];
    Postern__V1__ControlRequest *req;
    Postern__V1__ShareAdd add = POSTERN__V1__SHARE_ADD__INIT;
    Postern__V1__ControlRequest whole = POSTERN__V1__CONTROL_REQUEST__INIT;
    size_t n;

    (void)state;
    whole.version = CONTROL_VERSION;
    whole.share_add = &add;
    add.tenant = (char[]){"blue"};
    add.reservation = (char[]){"vm1"};
    n = postern__v1__control_request__pack(&whole, bytes);
    req = control_unpack(bytes, n);
    assert_non_null(req);
    assert_string_equal(req->share_add->reservation, "vm1");
    free_request(req);
    for (size_t i = 0; i < n; i++) {
        req = control_unpack(bytes, i); /* the version alone is a message too */
        assert_true(req == NULL || req->share_add == NULL);
        free_request(req);
    }
}

static void
a_nul_inside_a_string_is_no_request(void **state)
{
    uint8_t bytes[256];
    size_t n = an_add(bytes, "path = \"/srv\"");
    Postern__V1__ControlRequest *req = control_unpack(bytes, n);

    (void)state;
    assert_non_null(req);
    free_request(req);
    for (size_t i = 0; i < n; i++)
        if (bytes[i] == ' ') {
            bytes[i] = '\0';
            assert_null(control_unpack(bytes, n));
            bytes[i] = ' ';
        }
}

static void
random_changes_are_read_or_refused(void **state)
{
    uint8_t good[256], bytes[256];
    size_t n = an_add(good, "path = \"/srv\" access = read-only");
    unsigned seed = 7;

    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        memcpy(bytes, good, n);
        for (unsigned k = 0; k < 1 + i % 4; k++)
            bytes[(size_t)rand_r(&seed) % n] = (uint8_t)rand_r(&seed);
        free_request(control_unpack(bytes, n - (size_t)rand_r(&seed) % 4));
    }
}

static void
reservation_ids_are_plain_words(void **state)
{
    char longest[RESERVATION_ID_MAX + 2];

    (void)state;
    memset(longest, 'a', sizeof(longest));
    longest[RESERVATION_ID_MAX + 1] = '\0';
    assert_false(reservation_id_is_good(longest));
    longest[RESERVATION_ID_MAX] = '\0';
    assert_true(reservation_id_is_good(longest));
    assert_true(reservation_id_is_good("vm-1.disk_2"));
    for (const char *p = " /,;\"'\n\x7f\x80"; *p != '\0'; p++)
        assert_false(reservation_id_is_good((char[]){'a', *p, '\0'}));
    assert_false(reservation_id_is_good(""));
}

static void
removed_reservations_make_room_and_others_do_not(void **state)
{
    struct tenant t = {0};
    struct offer o = {.t = &t};
    struct reservation *r;
    char id[16];

    (void)state;
    for (unsigned i = 0; i < RESERVATIONS_MAX; i++) {
        (void)snprintf(id, sizeof(id), "r%u", i);
        assert_int_equal(reservation_new(&t, 1, id, &o, &r), 0);
    }
    assert_int_equal(o.holders, RESERVATIONS_MAX);
    assert_int_equal(reservation_new(&t, 1, "more", &o, &r), -ENOSPC);
    r = reservation_find(&t, 1, "r7");
    assert_non_null(r);
    assert_null(reservation_find(&t, 2, "r7")); /* another's */
    r->removed = true;
    o.holders--;
    assert_int_equal(reservation_new(&t, 2, "r7", &o, &r), 0);
    assert_null(reservation_find(&t, 1, "r7"));
    assert_int_equal(o.holders, RESERVATIONS_MAX);
    reservations_done(&t);
    assert_int_equal(o.holders, 0);
}

static void
what_was_only_tried_is_forgotten_when_it_fails(void **state)
{
    struct tenant t = {0};
    struct offer o = {.t = &t};
    struct reservation *r;

    (void)state;
    assert_int_equal(reservation_new(&t, 1, "before", &o, &r), 0);
    assert_int_equal(reservation_new(&t, 1, "tried", &o, &r), 0);
    r->fresh = true;
    reservations_failed(&o);
    assert_null(reservation_find(&t, 1, "tried"));
    assert_non_null(reservation_find(&t, 1, "before"));
    assert_int_equal(o.holders, 1);
    r = reservation_find(&t, 1, "before");
    r->fresh = true;
    reservations_served(&o);
    reservations_failed(&o);
    assert_int_equal(o.holders, 1);
    reservations_done(&t);
}

/* No name service knows these names: nobody is asked about them. */
static void
a_delegate_is_known_without_asking_for_his_name(void **state)
{
    char *names[] = {(char[]){"no.such.user"}, (char[]){"@no.such.group"}};
    struct plan_tenant t = {.delegates = {names, 2}, .delegate_ids = {1001, 2002}};
    struct caller who = {.uid = 1001, .gid = 7};

    (void)state;
    assert_true(delegate_of(&who, &t));
    who.uid = 2002; /* a group's id is no user's */
    assert_false(delegate_of(&who, &t));
    who.gid = 1001;
    assert_false(delegate_of(&who, &t));
    who.groups[0] = 2002;
    who.ngroups = 1;
    assert_true(delegate_of(&who, &t));
    who.ngroups = 0;
    who.gid = 2002;
    assert_true(delegate_of(&who, &t));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_read_and_every_part_of_it_is_not),
        cmocka_unit_test(a_nul_inside_a_string_is_no_request),
        cmocka_unit_test(random_changes_are_read_or_refused),
        cmocka_unit_test(reservation_ids_are_plain_words),
        cmocka_unit_test(removed_reservations_make_room_and_others_do_not),
        cmocka_unit_test(what_was_only_tried_is_forgotten_when_it_fails),
        cmocka_unit_test(a_delegate_is_known_without_asking_for_his_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
