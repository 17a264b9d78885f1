package site

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"

	"trainer/cmd/trainer/internal/cockpit"
	"trainer/cmd/trainer/internal/learn"
)

// The statuses of HTTP, without package net/http, which would be a quarter of what the page loads.
const (
	statusOK            = 200
	statusBadRequest    = 400
	statusNotFound      = 404
	statusConflict      = 409
	statusGone          = 410
	statusUnprocessable = 422
	statusInternal      = 500
)

// request is what a function that answers gets: the parts of the path that the route leaves open, the query and the body.
type request struct {
	args  []string
	query url.Values
	body  []byte
}

// route says which function answers which path. A part "*" of the path stands for any text.
type route struct {
	path   string
	answer func(r request) (any, error)
}

// match returns the texts at the places of "*", or false for another path.
func (t route) match(path []string) (args []string, ok bool) {
	parts := strings.Split(t.path, "/")
	if len(parts) != len(path) {
		return nil, false
	}
	for i, part := range parts {
		if part == "*" {
			args = append(args, path[i])
		} else if part != path[i] {
			return nil, false
		}
	}
	return args, true
}

// refusal is an answer that says why there is none.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

// Answer answers a request to an address such as "api/networks" with a status of HTTP and a body. An error is the JSON
// {"error":"..."}, as from a server.
func (e *Engine) Answer(address string, body []byte) (status int, content []byte) {
	value, err := e.find(address, body)
	if err == nil {
		content, err = encode(value)
	}
	if err == nil {
		return statusOK, content
	}
	content, _ = json.Marshal(struct { // of a text, which can't fail
		Error string `json:"error"`
	}{err.Error()})
	return statusOf(err), content
}

// find calls the function for an address.
func (e *Engine) find(address string, body []byte) (any, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	path := strings.Split(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	for i, part := range path {
		if path[i], err = url.PathUnescape(part); err != nil {
			return nil, err
		}
	}
	for _, t := range e.routes {
		if args, ok := t.match(path); ok {
			return t.answer(request{args, u.Query(), body})
		}
	}
	return nil, &refusal{statusNotFound, "there is nothing at this path"}
}

// encode returns the bytes of an answer.
func encode(value any) ([]byte, error) {
	switch v := value.(type) {
	case []byte:
		return v, nil
	case *learn.Reply:
		return v.Encode()
	}
	return json.Marshal(value)
}

// decode reads a request in JSON.
func (r request) decode(into any) error {
	if json.Unmarshal(r.body, into) != nil {
		return &refusal{statusBadRequest, "the request is not the JSON that this path takes"}
	}
	return nil
}

// statusOf returns the status of an error.
func statusOf(err error) int {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.status
	}
	if q, ok := errors.AsType[*learn.Error](err); ok {
		return map[learn.Kind]int{
			learn.Invalid: statusBadRequest, learn.Early: statusConflict, learn.Closed: statusGone,
			learn.NotFinite: statusUnprocessable,
		}[q.Kind]
	}
	if w, ok := errors.AsType[*cockpit.Error](err); ok {
		return map[cockpit.Kind]int{
			cockpit.Invalid: statusBadRequest, cockpit.Missing: statusNotFound, cockpit.Busy: statusConflict,
		}[w.Kind]
	}
	return statusInternal
}
