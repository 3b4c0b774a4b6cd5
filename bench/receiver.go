package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"
)

// secret signs every delivery in the benchmark, whoever sends it.
const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// sign answers what X-Hook-Signature must hold: the same work for all who deliver.
func sign(body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// receiverCommand is the target: it answers after a while, checks each signature,
// and tells at /tally what came since the last /reset.
type receiverCommand struct {
	Listen string
	After  time.Duration
}

// tally is what the receiver saw.
type tally struct {
	Distinct, Duplicates, Forged int
	First, Last                  time.Time // of the distinct ones
}

type receiver struct {
	after time.Duration
	mu    sync.Mutex
	seen  map[string]bool
	tally tally
}

// Run implements the command.
func (c receiverCommand) Run(ctx context.Context) error {
	r := &receiver{after: c.After, seen: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /hook", r.hook)
	mux.HandleFunc("POST /moved", http.RedirectHandler("/hook", http.StatusFound).ServeHTTP) // given up at once
	mux.HandleFunc("POST /reset", r.reset)
	mux.HandleFunc("GET /tally", r.tell)
	return listen(ctx, c.Listen, mux)
}

func (r *receiver) hook(_ http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(io.LimitReader(req.Body, 1<<20))
	if err != nil {
		return // not delivered, and not counted
	}
	valid := hmac.Equal([]byte(sign(body)), []byte(req.Header.Get("X-Hook-Signature")))
	if r.after > 0 {
		time.Sleep(r.after)
	}
	r.count(req.Header.Get("X-Hook-Id"), valid)
}

func (r *receiver) count(id string, valid bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !valid:
		r.tally.Forged++
	case r.seen[id]:
		r.tally.Duplicates++
	default:
		r.seen[id] = true
		r.tally.Distinct++
		r.tally.Last = time.Now()
		if r.tally.Distinct == 1 {
			r.tally.First = r.tally.Last
		}
	}
}

func (r *receiver) reset(http.ResponseWriter, *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen, r.tally = map[string]bool{}, tally{}
}

func (r *receiver) tell(w http.ResponseWriter, _ *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = json.NewEncoder(w).Encode(r.tally) // who asks may have left
}
