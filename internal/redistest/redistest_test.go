package redistest

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAServerKeepsItsDataAcrossStopAndStart(t *testing.T) {
	Run(t, func(t *testing.T, s *Server) {
		if err := s.Client.Set(t.Context(), "k", "v", 0).Err(); err != nil {
			t.Fatal(err)
		}
		s.Stop(t)
		if err := s.Client.Ping(t.Context()).Err(); err == nil {
			t.Fatal("a stopped server answered")
		}
		s.Start(t)
		if got, err := s.Client.Get(t.Context(), "k").Result(); err != nil || got != "v" {
			t.Fatalf("after the restart k is %q, %v; want v", got, err)
		}
		// A blocking command is answered too, with what arrives while it waits.
		go s.Client.LPush(context.Background(), "list", "element")
		if got, err := s.Client.BRPop(t.Context(), time.Minute, "list").Result(); err != nil || got[1] != "element" {
			t.Fatalf("after the restart BRPOP answers %v, %v", got, err)
		}
	})
}
