package redistest

import (
	"context"
	"testing"

	"github.com/alicebob/miniredis/v2"
)

// mini is a miniredis that keeps its data across stop and start.
type mini struct{ server *miniredis.Miniredis }

func newMini(t testing.TB) *mini {
	t.Helper()
	return &mini{miniredis.RunT(t)}
}

func (m *mini) addr() string { return m.server.Addr() }

func (m *mini) stop(testing.TB) { m.server.Close() }

func (m *mini) start(t testing.TB) {
	t.Helper()
	// Close ends this context for good, and with it every later blocking
	// command would go without an answer.
	m.server.Ctx, m.server.CtxCancel = context.WithCancel(context.Background())
	if err := m.server.Restart(); err != nil {
		t.Fatalf("restart miniredis: %v", err)
	}
}
