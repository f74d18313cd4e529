#include "brain/promotion/lifecycle.h"

#include "brain/promotion/test_planted.h"

static void texts_come_back(void **state) {
    (void)state;
    for (int i = 0; i < PROMOTION_STATE_COUNT; i++) {
        enum promotion_state back = PROMOTION_STATE_COUNT;
        assert_true(promotion_state_parse(&back, promotion_state_text((enum promotion_state)i)));
        assert_int_equal(back, i);
    }
    for (int i = 0; i < PROMOTION_EVENT_COUNT; i++) {
        enum promotion_event back = PROMOTION_EVENT_COUNT;
        assert_true(promotion_event_parse(&back, promotion_event_text((enum promotion_event)i)));
        assert_int_equal(back, i);
    }
    enum promotion_state untouched = PROMOTION_SHADOW;
    assert_false(promotion_state_parse(&untouched, "Shadow"));
    assert_false(promotion_state_parse(&untouched, ""));
    assert_int_equal(untouched, PROMOTION_SHADOW);
    assert_string_equal(promotion_state_text(PROMOTION_STATE_COUNT), "?");
    assert_string_equal(promotion_event_text(PROMOTION_EVENT_COUNT), "?");
}

/* Every pair, against the rules in words. */
static bool allowed(enum promotion_state from, enum promotion_event event) {
    bool trying = from == PROMOTION_CANDIDATE || from == PROMOTION_SHADOW;
    bool was_served =
        from == PROMOTION_RETIRED || from == PROMOTION_DEMOTED || from == PROMOTION_ROLLED_BACK;
    switch (event) {
    case PROMOTION_SHADOW_BEGIN:
        return from == PROMOTION_CANDIDATE;
    case PROMOTION_ACCEPT:
        return from == PROMOTION_SHADOW; /* nobody is accepted who was not a shadow */
    case PROMOTION_REJECT:
        return trying || from == PROMOTION_ACCEPTED;
    case PROMOTION_PROMOTE:
        return from == PROMOTION_ACCEPTED; /* nobody is promoted who was not accepted */
    case PROMOTION_INSTALL:
        return trying;
    case PROMOTION_RETIRE:
    case PROMOTION_DEMOTE:
    case PROMOTION_ROLL_BACK:
        return from == PROMOTION_SERVING;
    case PROMOTION_RESTORE:
        return was_served;
    case PROMOTION_EVENT_COUNT:
        break;
    }
    return false;
}

static void every_pair(void **state) {
    (void)state;
    for (int from = 0; from < PROMOTION_STATE_COUNT; from++)
        for (int event = 0; event <= PROMOTION_EVENT_COUNT; event++) {
            enum promotion_state to = PROMOTION_STATE_COUNT;
            bool legal =
                promotion_transition(&to, (enum promotion_state)from, (enum promotion_event)event);
            assert_int_equal(legal,
                             allowed((enum promotion_state)from, (enum promotion_event)event));
            if (!legal) assert_int_equal(to, PROMOTION_STATE_COUNT);
            if (legal) assert_true(to != PROMOTION_CANDIDATE && (int)to != from);
        }
}

static void one_event_leads_to_the_seat_and_rejection_is_final(void **state) {
    (void)state;
    for (int from = 0; from < PROMOTION_STATE_COUNT; from++) {
        int ways = 0, out = 0;
        for (int event = 0; event < PROMOTION_EVENT_COUNT; event++) {
            enum promotion_state to;
            if (!promotion_transition(&to, (enum promotion_state)from, (enum promotion_event)event))
                continue;
            out++;
            ways += to == PROMOTION_SERVING;
        }
        assert_int_equal(ways, from != PROMOTION_REJECTED && from != PROMOTION_SERVING);
        assert_int_equal(out == 0, from == PROMOTION_REJECTED);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_come_back),
        cmocka_unit_test(every_pair),
        cmocka_unit_test(one_event_leads_to_the_seat_and_rejection_is_final),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
