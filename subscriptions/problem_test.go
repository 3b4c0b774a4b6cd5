package subscriptions

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestEveryProblemTypeIsDocumentedWithItsStatus(t *testing.T) {
	page, err := os.ReadFile("../docs/problems.md")
	if err != nil {
		t.Fatal(err)
	}
	// What the admin API alone answers has a table of its own behind ours.
	ours, _, found := strings.Cut(string(page), "\nThe admin API alone")
	if !found {
		t.Fatal("docs/problems.md does not tell our problems from the admin API's")
	}
	want := map[string]int{"invalid": 422, "internal": 500}
	for _, refusal := range refusals {
		want[refusal.Name] = refusal.Status
	}
	for name, status := range want {
		if !strings.Contains(ours, fmt.Sprintf("| `%s` | %d |", name, status)) {
			t.Errorf("docs/problems.md does not have %s with status %d", name, status)
		}
	}
	if rows := strings.Count(ours, "\n| `") - 1; rows != len(want) {
		t.Errorf("docs/problems.md has %d types, there are %d", rows, len(want))
	}
}
