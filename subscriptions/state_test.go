package subscriptions

import (
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

func TestTheStateSaysWhySinceWhenAndHowToGoOn(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		r := newRig(t, s)
		id := r.subscribe(t, "ann").ID
		read := func(state, reason string) resource {
			t.Helper()
			var got resource
			r.send(t, "ann", "GET", base+id, "").want(t, 200).into(t, &got)
			if got.State != state || got.StateReason != reason || got.Active != (state == StateActive) {
				t.Errorf("it is %+v, want %s for %q", got, state, reason)
			}
			return got
		}
		since := func(got resource, want string) {
			t.Helper()
			if got.StateSince != want {
				t.Errorf("it is %s since %s, want %s", got.State, got.StateSince, want)
			}
		}
		put := func(body string) resource {
			t.Helper()
			r.offset.Add(1000)
			var got resource
			r.send(t, "ann", "PUT", base+id, body).want(t, 200).into(t, &got)
			return got
		}
		created := read(StateActive, "")
		since(created, created.CreatedAt)

		paused := put(`{"active":false}`)
		since(read(StatePaused, "owner"), paused.UpdatedAt)
		r.send(t, "ann", "PATCH", base+id, `{"description":"x"}`).want(t, 200)
		since(read(StatePaused, "owner"), paused.UpdatedAt)
		again := put(`{"active":true}`)
		since(read(StateActive, ""), again.UpdatedAt)

		// As delivery disables: what it writes moves updated_at alone.
		const at = "2033-05-18T03:33:20.000Z"
		failing(t, s.Client, id, "active", "0", "inactive_reason", InactiveByFailure, "updated_at", "2000000000000")
		since(read(StateDisabled, "failing"), at)
		r.send(t, "ann", "PATCH", base+id, `{"description":"y"}`).want(t, 200)
		since(read(StateDisabled, "failing"), at)
		revived := put(`{"active":true}`)
		since(read(StateActive, ""), revived.UpdatedAt)
	})
}

// Whether a target wants hooks is not for its owner to say.
func TestItsOwnerCannotSwitchOnWhatIsPending(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		r := newRig(t, s, asking(&fakeTarget{}))
		made := r.subscribe(t, "ann")
		for _, body := range []string{`{"active":true}`, `{"active":false}`} {
			var got resource
			r.send(t, "ann", "PUT", base+made.ID, body).want(t, 200).into(t, &got)
			if got.Active || got.State != StatePending || got.StateReason != "unconfirmed" {
				t.Errorf("after %s it is %+v", body, got)
			}
		}
		r.send(t, "ann", "POST", base, `{"event":"contact.create","target_url":"https://hooks.example/a"}`).want(t, 200)
		sub, err := r.store.Get(t.Context(), "ann", made.ID)
		if err != nil || sub.State() != StatePending || time.Since(sub.StateSince) > time.Minute {
			t.Errorf("it is %+v, %v", sub, err)
		}
	})
}
