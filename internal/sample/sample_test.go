package sample

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// call sends one request to the API and answers the status and the body.
func call(t *testing.T, api http.Handler, token, method, path, body string) (int, string) {
	t.Helper()
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	recorder := httptest.NewRecorder()
	api.ServeHTTP(recorder, request)
	got, err := io.ReadAll(recorder.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return recorder.Code, strings.TrimSpace(string(got))
}

func TestARecordIsCreatedReadChangedAndDeleted(t *testing.T) {
	api := NewAPI().Handler()
	for _, step := range []struct {
		method, path, body string
		status             int
		answer             string
	}{
		{"POST", "/contacts", `{"name":"Ada"}`, 201, `{"id":1,"name":"Ada"}`},
		{"GET", "/contacts/1", "", 200, `{"id":1,"name":"Ada"}`},
		{"PATCH", "/contacts/1", `{"email":"a@b"}`, 200, `{"email":"a@b","id":1,"name":"Ada"}`},
		{"PUT", "/contacts/1", `{"name":"Countess"}`, 200, `{"id":1,"name":"Countess"}`},
		{"POST", "/contacts/1/notes", `{"text":"hi"}`, 201, `{"about":1,"id":2,"text":"hi"}`},
		{"GET", "/contacts", "", 200, `[{"id":1,"name":"Countess"}]`},
		{"DELETE", "/contacts/1", "", 204, ``},
		{"GET", "/contacts/1", "", 404, `{"error":"no such record"}`},
		{"POST", "/contacts", `[]`, 400, `{"error":"send a JSON object"}`},
	} {
		status, answer := call(t, api, "alice-token", step.method, step.path, step.body)
		if status != step.status || answer != step.answer {
			t.Errorf("%s %s: %d %s; want %d %s", step.method, step.path, status, answer, step.status, step.answer)
		}
	}
}

func TestAnAccountSeesOnlyItsOwn(t *testing.T) {
	api := NewAPI().Handler()
	call(t, api, "alice-token", "POST", "/contacts", `{"name":"Ada"}`)
	if status, answer := call(t, api, "bob-token", "GET", "/contacts", ""); status != 200 || answer != "[]" {
		t.Errorf("Bob's list is %d %s", status, answer)
	}
	if status, _ := call(t, api, "bob-token", "DELETE", "/contacts/1", ""); status != 404 {
		t.Errorf("Bob deletes Alice's contact: %d", status)
	}
	if status, _ := call(t, api, "", "GET", "/contacts", ""); status != 401 {
		t.Errorf("nobody's list is %d", status)
	}
	if _, answer := call(t, api, "bob-token", "GET", "/me", ""); answer != `{"id":43,"name":"Bob"}` {
		t.Errorf("Bob is %s", answer)
	}
}
