package subscriptions

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

// victim never asked for hooks, and takes whatever is posted to it.
const victim = "https://victim.example/"

// echoing sends the secret back for one target alone.
type echoing struct {
	fakeTarget
	willing string
}

func (e *echoing) Handshake(ctx context.Context, sub Subscription, secret string) Reply {
	e.set(sub.TargetURL == e.willing, 0, "")
	return e.fakeTarget.Handshake(ctx, sub, secret)
}

// A PUT reads what a subscription is and then writes it. Another request that moves
// it to a target that confirms, in between, must not make the PUT move it back
// unasked.
func TestNoTargetIsMovedToUnaskedByTwoRequestsAtOnce(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		target := &echoing{willing: "https://hooks.example/willing"}
		var meanwhile atomic.Pointer[func()]
		r := newRig(t, s, asking(&target.fakeTarget), func(o *HandlerOptions) {
			o.Prober = target
			o.Events = func() []string { // asked between the reading and the writing
				if do := meanwhile.Swap(nil); do != nil {
					(*do)()
				}
				return knownEvents
			}
		})
		var made resource
		r.send(t, "ann", "POST", base, `{"event":"contact.create","target_url":"`+victim+`"}`).want(t, 201).into(t, &made)
		meanwhile.Store(new(func() {
			r.send(t, "ann", "PATCH", base+made.ID, `{"target_url":"`+target.willing+`"}`).want(t, 200)
		}))
		r.send(t, "ann", "PUT", base+made.ID, `{"event":"deal.won","target_url":"`+victim+`"}`).want(t, 200)
		if got := r.read(t, made.ID); got.TargetURL != victim || got.State != StatePending {
			t.Errorf("the victim, which never confirmed, gets hooks: %+v", got)
		}
	})
}

// A repetition is found first and answered then. What it found may have ended in
// between; what is made in its place has not been asked.
func TestNoTargetIsSubscribedUnaskedWhereWhatWasFoundHasEnded(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		for _, secret := range []string{"", `,"secret":"` + bring(32) + `"`} {
			for _, key := range []string{"", "k"} {
				t.Run(fmt.Sprintf("secret %t key %t", secret != "", key != ""), func(t *testing.T) {
					target := &fakeTarget{echo: true}
					hooked := &afterFirst{}
					client := redis.NewClient(s.Client.Options())
					t.Cleanup(func() { _ = client.Close() })
					client.AddHook(hooked)
					r := newRig(t, s, asking(target), func(o *HandlerOptions) { o.Store = NewStore(StoreOptions{Client: client}) })
					var headers []string
					if key != "" {
						headers = []string{"Idempotency-Key", key}
					}
					body := strings.Replace(wish, "}", secret+"}", 1)
					var made resource
					r.send(t, "ann", "POST", base, body, headers...).want(t, 201).into(t, &made)
					target.set(false, 0, "") // it would not confirm any more
					hooked.then(func() {
						r.send(t, "ann", "DELETE", base+made.ID, "").want(t, 204)
						for _, name := range r.keys(t) {
							if strings.Contains(name, "idempotent:") {
								s.Client.Del(t.Context(), name) // as it ends after a day
							}
						}
					})
					var again resource
					r.send(t, "ann", "POST", base, body, headers...).want(t, 201).into(t, &again)
					if again.ID == made.ID || again.State != StatePending {
						t.Errorf("a target that does not confirm gets hooks: %+v", again)
					}
					r.send(t, "ann", "DELETE", base+again.ID, "").want(t, 204)
				})
			}
		}
	})
}

// afterFirst has something done once, after the next script that looks for what
// a create would find.
type afterFirst struct{ do atomic.Pointer[func()] }

func (a *afterFirst) then(do func()) { a.do.Store(&do) }

func (a *afterFirst) DialHook(next redis.DialHook) redis.DialHook { return next }

func (a *afterFirst) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (a *afterFirst) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		for _, argument := range cmd.Args() {
			if argument == "look" && err == nil {
				if do := a.do.Swap(nil); do != nil {
					(*do)()
				}
			}
		}
		return err
	}
}
