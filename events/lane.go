package events

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/redis/go-redis/v9"
)

// What one round trip, or one transaction of the spool, carries at most: enough
// to share its cost among many, and little enough not to hold up Redis for others.
const (
	maxBatch      = 256
	maxBatchBytes = 4 << 20
)

// What took an event, as a metric's label.
const (
	toRedis = "redis"
	toSpool = "spool"
)

// errBehindSpool is why an event does not go to a Redis that is well: it would
// overtake those in the spool.
var errBehindSpool = errors.New("events in the spool go first")

// lane is the way onto the lists of one lane. Two goroutines write there: the
// group's, with what is published, and replay's, with what is in the spool. The
// group's goes to Redis only while the queue is empty, and it alone fills the
// queue; so nothing overtakes.
type lane struct {
	at       layout.Lane
	client   redis.UniversalClient
	queue    *queue // nil: no spool
	deadline time.Duration
	replicas int // how many must confirm; 0: none
	log      *slog.Logger
	metrics  *Metrics

	waiting group[*entry]
	dropped losses // of parked events
	// turn keeps the group from committing while replay hands over to it.
	turn sync.Mutex
	// unsure: events may stand on the list without a token.
	unsure atomic.Bool
	// backlog: the list was not empty before the last elements came.
	backlog atomic.Bool
	// outage is why Redis is not tried at present; nil: it is.
	outage atomic.Pointer[error]
	// behind has a token while replay may have something to do.
	behind chan struct{}

	// Replay's alone:
	limit   int       // how many elements go together
	strikes int       // how often Redis has refused the first one, alone
	acked   []spooled // what Redis has and the spool has not let go of yet
	sent    unconfirmed
}

func newLane(at layout.Lane, o Options) *lane {
	l := &lane{
		at: at, client: o.Client, deadline: o.Deadline, metrics: o.Metrics, replicas: o.Replicas,
		log:    o.Log.With(slog.Int("lane", at.Number)),
		behind: make(chan struct{}, 1),
		limit:  maxReplay,
	}
	if o.Spool != nil {
		l.queue = o.Spool.queues[at.Number]
		l.queue.filled = l.wakeReplay
	}
	l.waiting.commit, l.waiting.take = l.commit, takeBatch
	return l
}

// takeBatch answers how many entries fit into one batch.
func takeBatch(waiting []*entry) int {
	size := 0
	for n, e := range waiting {
		if size += len(e.bytes); n > 0 && (n == maxBatch || size > maxBatchBytes) {
			return n
		}
	}
	return len(waiting)
}

func (l *lane) commit(batch []*entry) {
	l.turn.Lock()
	defer l.turn.Unlock()
	elements := make([]element, len(batch))
	for i, e := range batch {
		elements[i] = e.element
	}
	to, err := l.keep(elements)
	for _, e := range batch {
		e.settle(to, err)
	}
}

// keep makes elements safe, and answers where they are.
func (l *lane) keep(elements []element) (string, error) {
	tried, redisErr := l.direct(elements)
	if redisErr == nil {
		return toRedis, nil
	}
	spoolErr := l.queue.put(elements)
	if spoolErr == nil {
		return toSpool, nil
	}
	if !tried && (errors.Is(redisErr, errBehindSpool) || errors.Is(redisErr, ErrTooFewReplicas)) {
		// Out of order, but with Redis.
		if redisErr = l.pushOrTrip(elements); redisErr == nil {
			return toRedis, nil
		}
	}
	return "", fmt.Errorf("%w: redis: %w; spool: %w", ErrNowhere, redisErr, spoolErr)
}

// direct puts elements on the list if nothing is known to be in their way, and
// answers whether it has tried.
func (l *lane) direct(elements []element) (tried bool, err error) {
	if outage := l.outage.Load(); outage != nil {
		return false, *outage
	}
	if l.queue.len() > 0 {
		return false, errBehindSpool
	}
	return true, l.pushOrTrip(elements)
}

func (l *lane) pushOrTrip(elements []element) error {
	err := l.pushWithin(l.deadline, elements)
	// Without a spool an event that the master alone has is worth more than one
	// that is nowhere, so that the next ones go there as well.
	if err != nil && (l.queue != nil || !errors.Is(err, ErrTooFewReplicas)) {
		l.trip(err)
	}
	return err
}

// trip has the next events go to the spool without asking Redis, and replay
// find out when it is well again.
func (l *lane) trip(err error) {
	if l.outage.Swap(&err) == nil {
		what := "Redis does not take events"
		if errors.Is(err, ErrTooFewReplicas) {
			what = "Redis' replicas are behind or away; the spool keeps a copy of each event until they have it"
		}
		l.log.Warn(what, "spool", l.queue != nil, "error", err)
	}
	l.wakeReplay()
}

// endOutage has Redis tried again.
func (l *lane) endOutage() {
	if l.outage.Swap(nil) != nil {
		l.log.Info("Redis takes events again", "spooled", l.queue.len())
	}
}

func (l *lane) wakeReplay() {
	select {
	case l.behind <- struct{}{}:
	default: // the token is there
	}
}
