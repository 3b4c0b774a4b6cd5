package subscriptions

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxPage is how many subscriptions one page holds, at most and by default.
const maxPage = 100

// listing is what of a list is asked for.
type listing struct {
	event  string // "" for all
	active string // "true", "false" or "" for both
	limit  int    // 0 for all at once
	after  position
}

// position is where in the list a page begins: behind this subscription.
type position struct {
	at time.Time
	id string
}

// readListing reads the query of a list.
func readListing(r *http.Request) (l listing, err error) {
	p, err := readParameters(r)
	if err != nil {
		return listing{}, err
	}
	p.one("event", func(v string) bool { l.event = v; return v != "" }, "must be one event")
	p.one("active", func(v string) bool { l.active = v; return v == "true" || v == "false" }, "must be true or false")
	p.one("cursor", func(v string) bool {
		position, ok := readPosition(v)
		l.after, l.limit = position, maxPage
		return ok
	}, "must be as the last page's Link had it")
	p.limit(&l.limit)
	return l, p.err()
}

// page answers those of a list, oldest first, that are asked for, and whether
// there are more.
func (l listing) page(list []Subscription) (page []Subscription, more bool) {
	for _, sub := range list {
		if !l.wants(sub) {
			continue
		}
		if l.limit > 0 && len(page) == l.limit {
			return page, true
		}
		page = append(page, sub)
	}
	return page, false
}

func (l listing) wants(sub Subscription) bool {
	if l.after.id != "" && byAge(sub, Subscription{CreatedAt: l.after.at, ID: l.after.id}) <= 0 {
		return false
	}
	if l.active != "" && (l.active == "true") != sub.Active {
		return false
	}
	if l.event == "" {
		return true
	}
	for _, pattern := range sub.Events {
		if Covers(pattern, l.event) {
			return true
		}
	}
	return false
}

// String writes a position as a cursor, whose form is our own affair.
func (p position) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(p.at.UnixMilli(), 10) + " " + p.id))
}

func readPosition(cursor string) (position, bool) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil {
		return position{}, false
	}
	ms, id, found := strings.Cut(string(text), " ")
	at, err := strconv.ParseInt(ms, 10, 64)
	return position{fromMilli(at), id}, found && err == nil && at >= 0 && id != ""
}
