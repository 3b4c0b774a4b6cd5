// Package layout names every key that hookproxy keeps in Redis, and carries the
// Lua functions that more than one script needs to keep those keys consistent.
//
// All keys of one user stand in one lane, and a lane is one Redis Cluster hash
// tag, so that each script touches a single slot:
//
//	hookproxy:layout                             HASH    version and lanes, see Check
//	hookproxy:{0}:events                         LIST    events not yet dispatched, oldest at the right
//	hookproxy:{0}:parked                         LIST    events without a user or resource, with the reason
//	hookproxy:{0}:wake                           LIST    at most one token: "there is something to do"
//	hookproxy:{0}:seen:<event>                   STRING  dispatched and freed (24 h)
//	hookproxy:{0}:subscribers:contact.create:42  SET     subscription ids: the event:user set
//	hookproxy:{0}:subscriptions:42               SET     a user's subscription ids
//	hookproxy:{0}:targets:42                     HASH    a user's subscription id, per digest of events and target
//	hookproxy:{0}:all                            ZSET    all subscription ids of the lane, in their order
//	hookproxy:{0}:expiring                       ZSET    subscriptions that end by themselves, by when in ms
//	hookproxy:{0}:idempotent:<digest>            STRING  the subscription that an Idempotency-Key made (24 h)
//	hookproxy:{0}:sampling:42                    STRING  how many samples of each event the user wants kept (30 days)
//	hookproxy:{0}:samples:contact.create:42      LIST    such events, newest at the left (30 days)
//	hookproxy:{0}:rate:<what>:<whose>            STRING  how many handshakes or tests so far (1 min)
//	hookproxy:{0}:subscription:<id>              HASH    the subscription and its failure state
//	hookproxy:{0}:stored                         HASH    events that deliveries refer to: header, newline, payload
//	hookproxy:{0}:shares                         HASH    how many deliveries refer to an event, where it is not one
//	hookproxy:{0}:broken                         HASH    events whose dispatch broke off: the subscriptions that have them
//	hookproxy:{0}:queue:<subscription>           ZSET    deliveries never tried, by sequence
//	hookproxy:{0}:retry:<subscription>           ZSET    deliveries to try again, by due time in ms
//	hookproxy:{0}:tries:<subscription>           ZSET    deliveries that have failed, by sequence + attempts/1024
//	hookproxy:{0}:heads:<subscription>           HASH    of each resource the delivery that goes first, and of that the resource
//	hookproxy:{0}:blocked:<subscription>         ZSET    deliveries behind another of their resource, by sequence
//	hookproxy:{0}:line:<subscription>:<digest>   ZSET    those of one resource, by sequence
//	hookproxy:{0}:windows:<subscription>         ZSET    digest:name of what waits for a later event, by when that ends
//	hookproxy:{0}:latest:<subscription>          HASH    the event that is left of each of them
//	hookproxy:{0}:batches:<subscription>         HASH    of each batch's head its name, and those that ride with it
//	hookproxy:{0}:riders:<subscription>          ZSET    deliveries that ride in a batch, by sequence
//	hookproxy:{0}:riding:<subscription>          HASH    the head of each of them
//	hookproxy:{0}:marks:<subscription>           ZSET    times in ms, by the first sequence that came then
//	hookproxy:{0}:turn                           STRING  counts turns given out in runnable
//	hookproxy:{0}:runnable                       ZSET    subscriptions worth a visit, by turn
//	hookproxy:{0}:waiting                        ZSET    subscriptions with something to come, by when
//	hookproxy:{0}:leases                         ZSET    deliveries in flight, by when the lease lapses
//	hookproxy:{0}:inflight                       HASH    leases held, per subscription
//	hookproxy:{0}:full                           HASH    subscriptions that a claim has left out, being at their cap
//	hookproxy:{0}:dead:<subscription>            ZSET    given up, by when, until replayed
//	hookproxy:{0}:retained                       ZSET    subscriptions with dead letters, by when the oldest was given up
//	hookproxy:{0}:attempts:<subscription>        STREAM  the last attempts, capped
//	hookproxy:{0}:redelivery:<id>                HASH    a redelivery: what of, and how far it is
//	hookproxy:{0}:redelivered:<id>               HASH    what it has put back and was not tried since: attempts per event
//	hookproxy:{0}:redeliveries                   ZSET    ids of all redeliveries, in their order
//	hookproxy:{0}:redeliveries:<subscription>    SET     a subscription's, of those that have not ended
//	hookproxy:{0}:redelivering                   ZSET    redeliveries that have not ended, by when the next step is due
//	hookproxy:{0}:purge                          SET     deleted subscriptions whose deliveries are still to be let go
package layout

import (
	"hash/fnv"
	"strconv"
	"strings"
)

// DefaultNamespace is the first part of every key unless another is chosen.
const DefaultNamespace = "hookproxy"

// Layout is where in Redis one installation keeps its data. Every process of
// an installation must use the same one; Check enforces that.
type Layout struct {
	// Namespace is the first part of every key; empty means DefaultNamespace.
	Namespace string
	// Lanes is over how many hash slots users are spread; zero means 1.
	Lanes int
}

// Count answers how many lanes there are, at least one.
func (l Layout) Count() int { return max(l.Lanes, 1) }

// Of answers the lane that everything of a user lives in. An empty user, that
// of an event nobody is known to own, has lane 0.
func (l Layout) Of(user string) Lane {
	if user == "" || l.Count() == 1 {
		return l.Lane(0)
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(user)) // a hash's Write never fails
	return l.Lane(int(h.Sum32() % uint32(l.Count())))
}

// OfID answers the lane that an id names: of a subscription, or of anything else
// whose id begins with its lane, as in "0-01jd…". It answers false where the id
// names none. There is one spelling of each number.
func (l Layout) OfID(id string) (Lane, bool) {
	number, unique, found := strings.Cut(id, "-")
	n, err := strconv.Atoi(number)
	if !found || unique == "" || err != nil || n < 0 || n >= l.Count() || strconv.Itoa(n) != number {
		return Lane{}, false
	}
	return l.Lane(n), true
}

// Lane answers the lane with a number from 0 to Count()-1.
func (l Layout) Lane(number int) Lane {
	return Lane{Number: number, Prefix: l.namespace() + ":{" + strconv.Itoa(number) + "}:"}
}

// All answers every lane, in order.
func (l Layout) All() []Lane {
	lanes := make([]Lane, l.Count())
	for i := range lanes {
		lanes[i] = l.Lane(i)
	}
	return lanes
}

func (l Layout) namespace() string {
	if l.Namespace == "" {
		return DefaultNamespace
	}
	return l.Namespace
}

// Lane builds the keys of one hash slot.
type Lane struct {
	Number int
	// Prefix starts every key of the lane. Scripts take it as their only key:
	// it routes them to the lane's slot, and they build the rest from it.
	Prefix string
}

// Events is the LIST of events not yet dispatched.
func (l Lane) Events() string { return l.Prefix + "events" }

// Parked is the LIST of events that cannot be routed yet.
func (l Lane) Parked() string { return l.Prefix + "parked" }

// Wake is the LIST that holds a token while there is something to do.
func (l Lane) Wake() string { return l.Prefix + "wake" }

// Seen marks an event as dispatched, once the event itself is freed.
func (l Lane) Seen(event string) string { return l.Prefix + "seen:" + event }

// Subscribers is the SET of a user's subscriptions to an event name.
func (l Lane) Subscribers(event, user string) string {
	return l.Prefix + "subscribers:" + event + ":" + user
}

// Subscriptions is the SET of all of a user's subscriptions.
func (l Lane) Subscriptions(user string) string { return l.Prefix + "subscriptions:" + user }

// Sampling is how many samples of each event a user wants kept.
func (l Lane) Sampling(user string) string { return l.Prefix + "sampling:" + user }

// Samples is the LIST of a user's latest events of a name, for those who ask.
func (l Lane) Samples(event, user string) string { return l.Prefix + "samples:" + event + ":" + user }

// Targets is the HASH that finds a user's subscription by what it sends where.
func (l Lane) Targets(user string) string { return l.Prefix + "targets:" + user }

// AllSubscriptions is the ZSET of all subscriptions of the lane, in the order of
// their ids, which is that of their making.
func (l Lane) AllSubscriptions() string { return l.Prefix + "all" }

// Expiring is the ZSET of the subscriptions that end by themselves.
func (l Lane) Expiring() string { return l.Prefix + "expiring" }

// Subscription is the HASH of one subscription.
func (l Lane) Subscription(id string) string { return l.Prefix + "subscription:" + id }

// Stored is the HASH of dispatched events that deliveries still refer to.
func (l Lane) Stored() string { return l.Prefix + "stored" }

// Shares is the HASH of how many deliveries refer to an event, where several do.
func (l Lane) Shares() string { return l.Prefix + "shares" }

// Broken is the HASH of events whose dispatch broke off.
func (l Lane) Broken() string { return l.Prefix + "broken" }

// Queue is the ZSET of a subscription's deliveries never tried.
func (l Lane) Queue(subscription string) string { return l.Prefix + "queue:" + subscription }

// Blocked is the ZSET of a subscription's deliveries behind another of their resource.
func (l Lane) Blocked(subscription string) string { return l.Prefix + "blocked:" + subscription }

// Windows is the ZSET of what waits for a later event of its name and resource.
func (l Lane) Windows(subscription string) string { return l.Prefix + "windows:" + subscription }

// Riders is the ZSET of a subscription's deliveries that ride in a batch with another.
func (l Lane) Riders(subscription string) string { return l.Prefix + "riders:" + subscription }

// Retry is the ZSET of a subscription's deliveries to try again.
func (l Lane) Retry(subscription string) string { return l.Prefix + "retry:" + subscription }

// Tries is the ZSET of deliveries that have failed, by sequence + attempts/1024.
func (l Lane) Tries(subscription string) string { return l.Prefix + "tries:" + subscription }

// Dead is the ZSET of a subscription's deliveries given up.
func (l Lane) Dead(subscription string) string { return l.Prefix + "dead:" + subscription }

// Retained is the ZSET of subscriptions with dead letters.
func (l Lane) Retained() string { return l.Prefix + "retained" }

// Attempts is the STREAM of a subscription's last attempts.
func (l Lane) Attempts(subscription string) string { return l.Prefix + "attempts:" + subscription }

// Redelivery is the HASH of one redelivery.
func (l Lane) Redelivery(id string) string { return l.Prefix + "redelivery:" + id }

// Redelivered is the HASH of what a redelivery has put back and was not tried since.
func (l Lane) Redelivered(id string) string { return l.Prefix + "redelivered:" + id }

// Redeliveries is the ZSET of all redeliveries of the lane, in the order of their ids.
func (l Lane) Redeliveries() string { return l.Prefix + "redeliveries" }

// Redelivering is the ZSET of the redeliveries that have not ended.
func (l Lane) Redelivering() string { return l.Prefix + "redelivering" }

// Runnable is the ZSET of subscriptions worth a visit.
func (l Lane) Runnable() string { return l.Prefix + "runnable" }

// Waiting is the ZSET of subscriptions with a retry to come.
func (l Lane) Waiting() string { return l.Prefix + "waiting" }

// Leases is the ZSET of deliveries in flight.
func (l Lane) Leases() string { return l.Prefix + "leases" }

// InFlight is the HASH of leases held per subscription.
func (l Lane) InFlight() string { return l.Prefix + "inflight" }

// Purge is the SET of deleted subscriptions still to be let go of.
func (l Lane) Purge() string { return l.Prefix + "purge" }
