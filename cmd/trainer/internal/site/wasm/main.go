//go:build js

// Command wasm is the engine of the static site, in a worker of the browser. It answers messages of the page: see the
// worker's JavaScript in the page's folder src/site.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"syscall/js"
	"time"

	"trainer/cmd/trainer/internal/site"
	"trainer/cpu"
	"trainer/nn/data"
	"trainer/nn/device"
)

// The site's files, where the worker has put them.
const (
	modelFile = "/site/model.safetensors"
	dataDir   = "/site/mnist"
)

func main() {
	if err := run(); err != nil {
		js.Global().Call("failed", err.Error())
		os.Exit(1)
	}
}

// run opens the engine and serves the page for ever.
func run() error {
	split, err := data.Open(context.Background(), "mnist", data.Options{Dir: dataDir})
	if err != nil {
		return err
	}
	var devices [2]device.Device
	for i := range devices {
		if devices[i], err = cpu.Kind().Open(0, device.Options{Threads: 1}); err != nil {
			return err
		}
	}
	engine, err := site.New(site.Config{
		Learn: devices[0], Train: devices[1], Model: modelFile, Data: split, Recipes: []string{"mnist-basic", "mnist"}, Yield: pause(),
	})
	if err != nil {
		return err
	}
	go engine.Follow(tell)
	serve(engine)
	return nil
}

// between is the time after which a training lets the page's messages in.
const between = 30 * time.Millisecond

// pause returns a function that lets the worker take messages, if it has not done so for a while: a Go program in a browser
// gets none while a goroutine computes.
func pause() func() {
	var last time.Time
	return func() {
		if time.Since(last) >= between {
			time.Sleep(time.Millisecond)
			last = time.Now()
		}
	}
}

// tell passes an event to the page.
func tell(kind string, data any) {
	text, err := json.Marshal(data)
	if err != nil { // such as of a loss that is not finite: the next state says what became of it
		return
	}
	js.Global().Call("told", kind, string(text))
}

// question is a message of the page.
type question struct {
	id      int
	address string
	body    []byte
}

// serve answers the questions, one after the other.
func serve(engine *site.Engine) {
	questions := make(chan question, 64)
	js.Global().Set("ask", js.FuncOf(func(_ js.Value, args []js.Value) any {
		q := question{id: args[0].Int(), address: args[1].String(), body: make([]byte, args[2].Length())}
		js.CopyBytesToGo(q.body, args[2])
		go func() { questions <- q }()
		return nil
	}))
	js.Global().Call("ready")
	for q := range questions {
		status, content := answer(engine, q)
		array := js.Global().Get("Uint8Array").New(len(content))
		js.CopyBytesToJS(array, content)
		js.Global().Call("answered", q.id, status, array)
	}
}

// answer turns a panic into an error: the page goes on.
func answer(engine *site.Engine, q question) (status int, content []byte) {
	defer func() {
		if p := recover(); p != nil {
			status, content = 500, []byte(`{"error":"internal error"}`)
			fmt.Fprintf(os.Stderr, "internal error: %s: %v\n", q.address, p)
		}
	}()
	return engine.Answer(q.address, q.body)
}
