// Package sample is what the demo shows hookproxy with: a small REST API of
// contacts and deals that knows nothing of webhooks, and a receiver of hooks.
package sample

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// Account is somebody who may call the API.
type Account struct {
	ID    int    `json:"id"`
	Name  string `json:"name"`
	Token string `json:"-"`
}

// Accounts are the API's two accounts.
var Accounts = []Account{
	{ID: 42, Name: "Alice", Token: "alice-token"},
	{ID: 43, Name: "Bob", Token: "bob-token"},
}

// record is a contact or a deal: an object with an id, kept as it was sent.
type record map[string]any

// API is the sample: bearer tokens, GET /me, and the collections /contacts and
// /deals with create, read, update, delete, and notes below a record. What one
// account creates the other does not see. Everything is kept in memory.
type API struct {
	mu      sync.Mutex
	next    int
	records map[string]map[int]record // by "account/collection", then by id
}

// NewAPI answers an API without any records.
func NewAPI() *API {
	return &API{next: 1, records: map[string]map[int]record{}}
}

// Handler answers the API's routes.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /me", authenticated(func(w http.ResponseWriter, _ *http.Request, who Account) {
		answer(w, http.StatusOK, who)
	}))
	for _, collection := range []string{"contacts", "deals"} {
		mux.HandleFunc("GET /"+collection, authenticated(a.list(collection)))
		mux.HandleFunc("POST /"+collection, authenticated(a.create(collection)))
		mux.HandleFunc("GET /"+collection+"/{id}", authenticated(a.read(collection)))
		mux.HandleFunc("PUT /"+collection+"/{id}", authenticated(a.update(collection)))
		mux.HandleFunc("PATCH /"+collection+"/{id}", authenticated(a.update(collection)))
		mux.HandleFunc("DELETE /"+collection+"/{id}", authenticated(a.remove(collection)))
		mux.HandleFunc("POST /"+collection+"/{id}/notes", authenticated(a.note(collection)))
	}
	return mux
}

type accountHandler func(w http.ResponseWriter, r *http.Request, who Account)

func authenticated(next accountHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		for _, account := range Accounts {
			if token == account.Token {
				next(w, r, account)
				return
			}
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="sample"`)
		answer(w, http.StatusUnauthorized, record{"error": "say who you are: Authorization: Bearer " + Accounts[0].Token})
	}
}

func (a *API) list(collection string) accountHandler {
	return func(w http.ResponseWriter, _ *http.Request, who Account) {
		a.mu.Lock()
		defer a.mu.Unlock()
		found := []record{}
		for id := range a.next {
			if one, ok := a.of(who, collection)[id]; ok {
				found = append(found, one)
			}
		}
		answer(w, http.StatusOK, found)
	}
}

func (a *API) create(collection string) accountHandler {
	return func(w http.ResponseWriter, r *http.Request, who Account) {
		sent, ok := decode(w, r)
		if !ok {
			return
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		id := a.takeID()
		sent["id"] = id
		a.of(who, collection)[id] = sent
		w.Header().Set("Location", "/"+collection+"/"+strconv.Itoa(id))
		answer(w, http.StatusCreated, sent)
	}
}

func (a *API) read(collection string) accountHandler {
	return func(w http.ResponseWriter, r *http.Request, who Account) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if _, one, ok := a.find(w, r, who, collection); ok {
			answer(w, http.StatusOK, one)
		}
	}
}

// update replaces a record for PUT, and merges into it for PATCH.
func (a *API) update(collection string) accountHandler {
	return func(w http.ResponseWriter, r *http.Request, who Account) {
		sent, ok := decode(w, r)
		if !ok {
			return
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		id, one, ok := a.find(w, r, who, collection)
		if !ok {
			return
		}
		if r.Method == http.MethodPut {
			clear(one)
		}
		for key, value := range sent {
			one[key] = value
		}
		one["id"] = id
		answer(w, http.StatusOK, one)
	}
}

func (a *API) remove(collection string) accountHandler {
	return func(w http.ResponseWriter, r *http.Request, who Account) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if id, _, ok := a.find(w, r, who, collection); ok {
			delete(a.of(who, collection), id)
			w.WriteHeader(http.StatusNoContent)
		}
	}
}

// note answers a note of its own; the sample keeps none.
func (a *API) note(collection string) accountHandler {
	return func(w http.ResponseWriter, r *http.Request, who Account) {
		sent, ok := decode(w, r)
		if !ok {
			return
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		about, _, ok := a.find(w, r, who, collection)
		if !ok {
			return
		}
		sent["id"], sent["about"] = a.takeID(), about
		answer(w, http.StatusCreated, sent)
	}
}

func (a *API) of(who Account, collection string) map[int]record {
	key := strconv.Itoa(who.ID) + "/" + collection
	if a.records[key] == nil {
		a.records[key] = map[int]record{}
	}
	return a.records[key]
}

func (a *API) takeID() int {
	id := a.next
	a.next++
	return id
}

// find answers the record that the path names, or tells the client that there
// is none.
func (a *API) find(w http.ResponseWriter, r *http.Request, who Account, collection string) (int, record, bool) {
	id, err := strconv.Atoi(r.PathValue("id"))
	one, ok := a.of(who, collection)[id]
	if err != nil || !ok {
		answer(w, http.StatusNotFound, record{"error": "no such record"})
		return 0, nil, false
	}
	return id, one, true
}

// maxBody bounds what a client may send.
const maxBody = 1 << 20

func decode(w http.ResponseWriter, r *http.Request) (record, bool) {
	var sent record
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&sent)
	if err != nil || sent == nil {
		answer(w, http.StatusBadRequest, record{"error": "send a JSON object"})
		return nil, false
	}
	return sent, true
}

func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // the client is gone; there is nobody to tell
}
