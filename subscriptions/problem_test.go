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
	want := map[string]int{"invalid": 422, "internal": 500}
	for _, refusal := range refusals {
		want[refusal.name] = refusal.status
	}
	for name, status := range want {
		if !strings.Contains(string(page), fmt.Sprintf("| `%s` | %d |", name, status)) {
			t.Errorf("docs/problems.md does not have %s with status %d", name, status)
		}
	}
	if rows := strings.Count(string(page), "\n| `") - 1; rows != len(want) {
		t.Errorf("docs/problems.md has %d types, there are %d", rows, len(want))
	}
}
