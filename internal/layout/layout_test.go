package layout

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAUsersLaneNeverChanges(t *testing.T) {
	// Data already stored is found by these numbers.
	l := Layout{Lanes: 8}
	for user, want := range map[string]int{"": 0, "1": 4, "42": 3, "account-7": 4, "Ünïcode": 3} {
		if got := l.Of(user).Number; got != want {
			t.Errorf("of 8 lanes user %q has lane %d; want %d", user, got, want)
		}
		if got := (Layout{}).Of(user).Number; got != 0 {
			t.Errorf("of one lane user %q has lane %d", user, got)
		}
	}
}

func TestUsersAreSpreadOverAllLanes(t *testing.T) {
	l := Layout{Lanes: 16}
	users := make([]int, 16)
	for i := range 16_000 {
		users[l.Of(fmt.Sprint("user", i)).Number]++
	}
	if least := slices.Min(users); least < 500 {
		t.Errorf("16 lanes have %v users; each should have about 1000", users)
	}
}

func TestTheZeroLayoutHasOneLaneInTheDefaultNamespace(t *testing.T) {
	lanes := Layout{}.All()
	if len(lanes) != 1 || lanes[0].Events() != "hookproxy:{0}:events" {
		t.Errorf("the lanes are %+v", lanes)
	}
	lanes = Layout{Namespace: "other", Lanes: 3}.All()
	if len(lanes) != 3 || lanes[2].Events() != "other:{2}:events" {
		t.Errorf("the lanes are %+v", lanes)
	}
}

// keys are all that a lane names, with ids that try to name another slot.
func keys(l Lane) []string {
	const id = "{9}:x"
	return []string{l.Events(), l.Parked(), l.Wake(), l.Seen(id), l.Subscribers(id, id), l.Subscriptions(id), l.Subscription(id),
		l.Stored(), l.Shares(), l.Broken(), l.Queue(id), l.Blocked(id), l.Windows(id), l.Riders(id), l.Retry(id), l.Tries(id), l.Dead(id), l.Attempts(id), l.Runnable(), l.Waiting(), l.Leases(), l.InFlight(), l.Purge(),
		l.Targets("42"), l.AllSubscriptions(), l.Expiring(), l.Redelivery(id), l.Redelivered(id), l.Redeliveries(),
		l.Redelivering()}
}

func TestEveryKeyOfALaneHasItsHashTagFirst(t *testing.T) {
	tag := regexp.MustCompile(`\{([^}]+)\}`) // Redis Cluster hashes the first {…} alone
	for _, lane := range (Layout{Lanes: 3}).All() {
		for _, key := range keys(lane) {
			if got := tag.FindStringSubmatch(key)[1]; got != fmt.Sprint(lane.Number) {
				t.Errorf("%s is hashed by %q; want %d", key, got, lane.Number)
			}
		}
	}
}

func TestNoTwoKeysOfALaneAreTheSame(t *testing.T) {
	all := keys(Layout{}.Lane(0))
	slices.Sort(all)
	if n := len(all); len(slices.Compact(slices.Clone(all))) != n {
		t.Errorf("there are equal ones among %s", strings.Join(all, " "))
	}
}
