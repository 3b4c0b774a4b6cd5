package events

import (
	"regexp"
	"slices"
	"testing"
)

func TestNewIDsAreUniqueAndSortByTime(t *testing.T) {
	var ids []string
	for range 1000 {
		ids = append(ids, NewID())
	}
	if !slices.IsSorted(ids) {
		t.Error("ids made one after the other do not sort so")
	}
	if n := len(slices.Compact(ids)); n != 1000 {
		t.Errorf("%d of 1000 ids are different", n)
	}
	if form := regexp.MustCompile(`^[0-9a-hjkmnp-tv-z]{26}$`); !form.MatchString(ids[0]) {
		t.Errorf("%q is no ULID in lower case", ids[0])
	}
}

func TestAReplayedRequestHasTheSameEventID(t *testing.T) {
	first := ReplayID("42", "POST", "/contacts", "key", "rules.yaml:3", 0)
	if again := ReplayID("42", "POST", "/contacts", "key", "rules.yaml:3", 0); again != first {
		t.Errorf("the replay's id is %s; want %s", again, first)
	}
	// Ids outlive the process that made them, so they may never change.
	if want := "5576dba3f33e33d6c81fadeda3a7a81f"; first != want {
		t.Errorf("the id is %s; want %s", first, want)
	}
}

func TestEventsThatDifferInAnyPartHaveDifferentIDs(t *testing.T) {
	ids := []string{
		ReplayID("42", "POST", "/contacts", "key", "r:3", 0),
		ReplayID("43", "POST", "/contacts", "key", "r:3", 0),
		ReplayID("42", "PUT", "/contacts", "key", "r:3", 0),
		ReplayID("42", "POST", "/deals", "key", "r:3", 0),
		ReplayID("42", "POST", "/contacts", "other", "r:3", 0),
		ReplayID("42", "POST", "/contacts", "key", "r:4", 0),
		ReplayID("42", "POST", "/contacts", "key", "r:3", 1),
		// The same text, divided otherwise.
		ReplayID("42P", "OST", "/contacts", "key", "r:3", 0),
		ReplayID("42", "POST", "/contactsk", "ey", "r:3", 0),
		ReplayID("42", "POST", "/contacts", "3:key", "r:3", 0),
	}
	slices.Sort(ids)
	if n := len(slices.Compact(ids)); n != 10 {
		t.Errorf("%d different ids; want 10", n)
	}
}
