package serve

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"trainer/cmd/trainer/internal/learn"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/inspect"
	"trainer/nn/model"
)

// testNetworks returns a network for images of 12 x 12 pixels, and one without pictures to choose from.
func testNetworks(t testing.TB, dev device.Device) []Network {
	t.Helper()
	images := model.ImagesOf(data.Preparation{H: 12, W: 12, C: 1}, []float32{0.3}, []float32{0.4})
	classes := []string{"a", "b", "c"}
	open := func() (*inspect.Session, error) {
		return inspect.New(dev, nn.NewSequential(nn.Conv2D{OutC: 2, Kernel: nn.Square(3)}, nn.MaxPool2D{Kernel: nn.Square(2)}, nn.ReLU{}, nn.Flatten{}, nn.Dense{Out: 3}),
			inspect.Options{Input: nn.Shape{12, 12, 1}, Mean: images.Mean, Std: images.Std, Seed: 1})
	}
	set := &data.InMemory{Name: "five", H: 12, W: 12, C: 1, ClassNames: classes, Images: make([]byte, 5*144), Labels: []int32{2, 1, 0, 2, 1}}
	for i := 144; i < len(set.Images); i++ { // the first picture is black
		set.Images[i] = byte(i * i >> 4)
	}
	set.Images[144] = 77
	return []Network{
		{Name: "net", Classes: classes, Images: images, Open: open, Samples: func() (data.Set, error) { return set, nil }},
		{Name: "bare/../x", Trained: true, Classes: classes, Images: images, Open: open},
		{Name: "absent", Classes: classes, Images: images, Open: open, Samples: func() (data.Set, error) { return nil, errors.New("/secret/path") }},
	}
}

// tensorsOf takes an answer apart.
func tensorsOf(t testing.TB, body string) (info json.RawMessage, arrays [][]float32) {
	t.Helper()
	content := []byte(body)
	n := binary.LittleEndian.Uint32(content)
	var head struct {
		Lengths []int
		Info    json.RawMessage
	}
	if err := json.Unmarshal(content[4:4+n], &head); err != nil || n%4 != 0 {
		t.Fatalf("%v in %q", err, body[:min(200, len(body))])
	}
	content = content[4+n:]
	for _, l := range head.Lengths {
		array := make([]float32, l)
		for i := range array {
			array[i] = math.Float32frombits(binary.LittleEndian.Uint32(content))
			content = content[4:]
		}
		arrays = append(arrays, array)
	}
	if len(content) != 0 {
		t.Errorf("%d bytes too many", len(content))
	}
	return head.Info, arrays
}

// openedSession opens a session over HTTP and returns the beginning of its paths.
func openedSession(t testing.TB, s *running, network string) string {
	t.Helper()
	status, body := do(t, request(t, "POST", s.url+"/api/sessions", []byte(fmt.Sprintf(`{"network":%q}`, network))))
	var opened struct {
		ID     string
		Places []inspect.Place
	}
	if err := json.Unmarshal([]byte(body), &opened); err != nil || status != 200 || len(opened.Places) == 0 {
		t.Fatalf("status %d, %s", status, body)
	}
	return s.url + "/api/sessions/" + opened.ID + "/"
}

// TestSession: the tensors over HTTP are the engine's.
func TestSession(t *testing.T) {
	s := start(t, "", nil)
	engine, err := testNetworks(t, testDevice(t))[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	path := openedSession(t, s, "net")
	send := func(action, body string) string {
		t.Helper()
		status, answer := do(t, request(t, "POST", path+action, []byte(body)))
		if status != 200 {
			t.Fatalf("%s: status %d, %s", action, status, answer)
		}
		return answer
	}
	same := func(what string, got, want [][]float32) {
		t.Helper()
		if len(got) != len(want) {
			t.Fatalf("%s: %d arrays, want %d", what, len(got), len(want))
		}
		for i := range want {
			if fmt.Sprint(got[i]) != fmt.Sprint(want[i]) {
				t.Errorf("%s: array %d differs from the engine's", what, i)
			}
		}
	}
	pixels := make([]byte, 144)
	for i := range pixels {
		pixels[i] = byte(i * 5)
	}
	pass, err := engine.Forward(pixels)
	if err != nil {
		t.Fatal(err)
	}
	info, arrays := tensorsOf(t, send("forward", string(pixels)))
	same("forward", arrays, pass.Values)
	if want, _ := json.Marshal(map[string]any{"answer": pass.Answer}); string(info) != string(want) {
		t.Errorf("forward: %s, want %s", info, want)
	}
	back, err := engine.Backward(1)
	if err != nil {
		t.Fatal(err)
	}
	info, arrays = tensorsOf(t, send("backward", `{"label":1}`))
	var listed struct {
		Label   int
		Loss    float64
		Weights []string
	}
	if err := json.Unmarshal(info, &listed); err != nil || listed.Label != 1 || listed.Loss != back.Loss || len(listed.Weights) != 4 {
		t.Errorf("backward: %v, %s", err, info)
	}
	wanted := slices.Clone(back.Values)
	for _, name := range listed.Weights {
		wanted = append(wanted, back.Weights[name])
	}
	same("backward", arrays, wanted)
	q := inspect.Question{Of: inspect.Value, Place: 1, Index: 3}
	why, err := engine.Explain(q)
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := json.Marshal(why); send("explain", `{"of":"value","place":1,"index":3}`) != string(want)+"\n" {
		t.Error("explain: another explanation than the engine's")
	}
	weights, err := engine.Weights("conv1.weight")
	if err != nil {
		t.Fatal(err)
	}
	_, arrays = tensorsOf(t, send("weights", `{"tensor":"conv1.weight"}`))
	same("weights", arrays, [][]float32{weights})
	seen, err := engine.Saliency(2)
	if err != nil {
		t.Fatal(err)
	}
	_, arrays = tensorsOf(t, send("attention", `{"kind":"saliency","class":2}`))
	same("saliency", arrays, [][]float32{seen.Values})
	seen, err = engine.GradCAM(2, -1)
	if err != nil {
		t.Fatal(err)
	}
	_, arrays = tensorsOf(t, send("attention", `{"kind":"grad-cam","class":2}`))
	same("grad-cam", arrays, [][]float32{seen.Values})
	seen, err = engine.Occlusion(2, 3, 2)
	if err != nil {
		t.Fatal(err)
	}
	info, arrays = tensorsOf(t, send("attention", `{"kind":"occlusion","class":2}`))
	same("occlusion", arrays, [][]float32{seen.Values})
	if want := `{"rows":5,"columns":5,"size":3,"stride":2}`; string(info) != want {
		t.Errorf("occlusion: %s, want %s", info, want)
	}
	found, err := engine.Maximize(1, 1, inspect.Maximization{})
	if err != nil {
		t.Fatal(err)
	}
	info, arrays = tensorsOf(t, send("maximum", `{"place":1,"channel":1}`))
	same("maximum", arrays, [][]float32{found.Picture})
	if want, _ := json.Marshal(map[string]any{"pixels": found.Pixels, "before": found.Before, "after": found.After}); !sameJSON(t, info, want) {
		t.Errorf("maximum: %s, want %s", info, want)
	}
	check, err := engine.CheckGradient("conv1.weight", 2, 0)
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := json.Marshal(check); send("check", `{"tensor":"conv1.weight","index":2}`) != string(want)+"\n" {
		t.Error("check: another comparison than the engine's")
	}
	before := send("backward", `{"label":1}`)
	info, _ = tensorsOf(t, send("step", `{"rule":"sgd","lr":0.05}`))
	var stepped struct {
		Loss float64
		Step inspect.Step
	}
	if err := json.Unmarshal(info, &stepped); err != nil || stepped.Step.LossBefore != back.Loss || stepped.Step.LossAfter != stepped.Loss || stepped.Loss >= back.Loss {
		t.Errorf("step: %v, %s", err, info)
	}
	send("undo", "")
	if send("backward", `{"label":1}`) != before {
		t.Error("undo: other gradients than before the step")
	}
}

// sameJSON compares two texts without regard to the order of keys.
func sameJSON(t testing.TB, a, b []byte) bool {
	t.Helper()
	var x, y any
	if err := errors.Join(json.Unmarshal(a, &x), json.Unmarshal(b, &y)); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(x, y)
}

// TestFeatureMap draws a map in two parts: the points are the engine's projection, and a step makes the map begin again.
func TestFeatureMap(t *testing.T) {
	s := start(t, "", nil)
	network := testNetworks(t, testDevice(t))[0]
	engine, err := network.Open()
	if err != nil {
		t.Fatal(err)
	}
	set, err := network.Samples()
	if err != nil {
		t.Fatal(err)
	}
	path := openedSession(t, s, "net")
	send := func(action, body string, status int) string {
		t.Helper()
		got, answer := do(t, request(t, "POST", path+action, []byte(body)))
		if got != status {
			t.Fatalf("%s %.40s: status %d, %.200s, want %d", action, body, got, answer, status)
		}
		return answer
	}
	var pictures [][]byte
	for i := range set.Len() {
		pixels := make([]byte, 144)
		if _, err := set.Read(i, pixels); err != nil {
			t.Fatal(err)
		}
		pictures = append(pictures, pixels)
	}
	features, err := engine.Features(t.Context(), pictures, nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := inspect.PCA(features.Values, features.Width)
	if err != nil {
		t.Fatal(err)
	}
	send("features", `{"from":3,"count":3}`, 409) // no map was begun
	send("feature-values", "", 409)
	send("features", `{"from":0,"count":3}`, 200)
	info, arrays := tensorsOf(t, send("features", `{"from":3,"count":3}`, 200))
	var got struct {
		Place, Width, Total int
		Explained           [2]float64
		Labels              []int32
		Answers             []int
		Probabilities       []float64
	}
	if err := json.Unmarshal(info, &got); err != nil {
		t.Fatal(err)
	}
	if len(arrays) != 2 || !slices.Equal(arrays[0], want.X) || !slices.Equal(arrays[1], want.Y) || got.Explained != want.Explained {
		t.Errorf("%s %v, the engine has %+v", info, arrays, want)
	}
	if got.Place != engine.FeaturePlace() || got.Width != features.Width || got.Total != 5 || !slices.Equal(got.Labels, []int32{2, 1, 0, 2, 1}) {
		t.Errorf("%s", info)
	}
	for i, k := range got.Answers {
		if row := features.Answers[3*i : 3*i+3]; row[k] != slices.Max(row) || got.Probabilities[i] != row[k] {
			t.Errorf("picture %d: class %d with %v, the engine has %v", i, k, got.Probabilities[i], row)
		}
	}
	info, arrays = tensorsOf(t, send("feature-values", "", 200))
	if want := fmt.Sprintf(`{"width":%d}`, features.Width); string(info) != want || len(arrays) != 1 || !slices.Equal(arrays[0], features.Values) {
		t.Errorf("features %s %v, the engine has %v", info, arrays, features.Values)
	}
	send("features", `{"from":5,"count":3}`, 400) // there are five
	send("features", `{"from":0,"count":3}`, 200)
	send("forward", string(pictures[1]), 200)
	send("backward", `{"label":1}`, 200)
	send("step", `{"rule":"sgd","lr":0.05}`, 200)
	send("features", `{"from":3,"count":3}`, 409)
	send("feature-values", "", 409)
	send("undo", "", 200) // the map is of these weights
	send("feature-values", "", 200)
	send("features", `{"from":3,"count":3}`, 200)
	send("step", `{"rule":"sgd","lr":0.05}`, 200) // once more: the weights of the step before, but another step
	send("feature-values", "", 409)
}

// TestPictureAndSamples: pictures arrive as the network's pixels.
func TestPictureAndSamples(t *testing.T) {
	s := start(t, "", nil)
	path := openedSession(t, s, "net")
	im := image.NewGray(image.Rect(0, 0, 12, 12))
	im.SetGray(3, 4, color.Gray{9})
	var file bytes.Buffer
	if err := png.Encode(&file, im); err != nil {
		t.Fatal(err)
	}
	if status, body := do(t, request(t, "POST", path+"picture", file.Bytes())); status != 200 || body != string(im.Pix) {
		t.Errorf("status %d, %q", status, body)
	}
	status, body := do(t, request(t, "GET", s.url+"/api/networks/net/samples?from=1&count=50", nil))
	var list learn.SampleList
	if err := json.Unmarshal([]byte(body), &list); err != nil || status != 200 || list.Total != 5 || len(list.Labels) != 4 || list.Labels[0] != 1 || len(list.Pixels) != 4*144 || list.Pixels[0] != 77 {
		t.Errorf("status %d, %s", status, body)
	}
}

// TestLearnRefusals has the refusals of the page's routes.
func TestLearnRefusals(t *testing.T) {
	s := start(t, "", nil)
	path := strings.TrimPrefix(openedSession(t, s, "net"), s.url)
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"POST", "/api/networks", "", 405, "GET"},
		{"GET", "/api/networks/nothing/samples?from=0&count=1", "", 404, "no network"},
		{"GET", "/api/networks/bare%2f..%2fx/samples?from=0&count=1", "", 404, "no pictures"},
		{"GET", "/api/networks/absent/samples?from=0&count=1", "", 404, "not on this machine"},
		{"GET", "/api/networks/net/samples?from=-1&count=1", "", 400, "want from"},
		{"GET", "/api/networks/net/samples?from=0&count=1000000", "", 400, "want from"},
		{"POST", "/api/sessions", `{"network":"nothing"}`, 404, "no network"},
		{"POST", "/api/sessions", `{`, 400, "not the JSON"},
		{"POST", "/api/sessions", strings.Repeat(" ", 5000), 400, "not the JSON"},
		{"POST", "/api/sessions/x/forward", "", 410, "open a new one"},
		{"POST", "/api/sessions/x/picture", "", 410, "open a new one"},
		{"GET", path + "forward", "", 405, "POST"},
		{"POST", path + "nothing", "", 404, "nothing at this path"},
		{"POST", path + "backward", `{"label":1}`, 409, "call Forward first"},
		{"POST", path + "explain", `{"of":"value","place":1,"index":0}`, 409, "call Forward first"},
		{"POST", path + "forward", "short", 400, "got 5 bytes, want 144"},
		{"POST", path + "forward", strings.Repeat("x", 1<<17), 413, "larger"},
		{"POST", path + "forward", strings.Repeat("x", 144), 200, ""},
		{"POST", path + "explain", `{"of":"gradient","place":1,"index":0}`, 409, "call Backward first"},
		{"POST", path + "step", `{"rule":"sgd","lr":0.1}`, 409, "call Backward first"},
		{"POST", path + "undo", ``, 409, "no step"},
		{"POST", path + "backward", `{"label":3}`, 400, "from 0 to 2"},
		{"POST", path + "backward", `{"label":-1}`, 400, "from 0 to 2"},
		{"POST", path + "backward", `{"label":1}`, 200, ""},
		{"POST", path + "explain", `{"of":"value","place":99,"index":0}`, 400, "no such number"},
		{"POST", path + "explain", `{"of":"value","place":-1,"index":0}`, 400, "no such number"},
		{"POST", path + "explain", `{"of":"value","place":1,"index":200}`, 400, "no such number"},
		{"POST", path + "explain", `{"of":"value","place":1,"index":-1}`, 400, "no such number"},
		{"POST", path + "explain", `{"of":"secret","place":1,"index":1}`, 400, "no such number"},
		{"POST", path + "explain", `{"of":"weight-gradient","tensor":"conv9.weight","index":1}`, 400, "no such number"},
		{"POST", path + "explain", `{"of":"weight-gradient","tensor":"conv1.weight","index":18}`, 400, "no such number"},
		{"POST", path + "explain", `{"of":"gradient","place":6,"index":1}`, 400, ""},
		{"POST", path + "attention", `{"kind":"saliency","class":3}`, 400, "from 0 to 2"},
		{"POST", path + "attention", `{"kind":"magic","class":1}`, 400, "want saliency, grad-cam or occlusion"},
		{"POST", path + "attention", `{"kind":"occlusion","class":-1}`, 400, "from 0 to 2"},
		{"POST", path + "maximum", `{"place":0,"channel":0}`, 400, "want that of a layer"},
		{"POST", path + "maximum", `{"place":1,"channel":2}`, 400, "want 0 to 1"},
		{"POST", path + "features", `{"from":0,"count":2}`, 400, "from 3 to 100"},
		{"POST", path + "features", `{"from":0,"count":100000}`, 400, "from 3 to 100"},
		{"POST", path + "features", `{"from":-1,"count":3}`, 409, "begin with the first"},
		{"POST", path + "weights", `{"tensor":"../x"}`, 400, "no tensor"},
		{"POST", path + "check", `{"tensor":"conv1.weight","index":1000}`, 400, "no such number"},
		{"POST", path + "step", `{"rule":"magic","lr":0.1}`, 400, "want a rule"},
		{"POST", path + "step", `{"rule":"sgd","lr":0}`, 400, "want a rule"},
		{"POST", path + "step", `{"rule":"sgd","lr":1e9}`, 400, "want a rule"},
		{"POST", path + "picture", "no picture", 422, "unknown format"},
	} {
		status, body := do(t, request(t, c.method, s.url+c.path, []byte(c.body)))
		if status != c.status || !strings.Contains(body, c.want) || status != 200 && !strings.HasPrefix(body, `{"error":"`) || strings.Contains(body, "secret/") {
			t.Errorf("%s %s %.40s: status %d, %.200s, want %d and %q", c.method, c.path, c.body, status, body, c.status, c.want)
		}
	}
}

// TestDivergedStep: numbers that JSON can't express are an answer, too, and can be undone.
func TestDivergedStep(t *testing.T) {
	s := start(t, "", nil)
	path := openedSession(t, s, "net")
	send := func(action, body string) (int, string) {
		return do(t, request(t, "POST", path+action, []byte(body)))
	}
	send("forward", strings.Repeat("\x00\xff", 72))
	send("backward", `{"label":1}`)
	for range 12 {
		if status, body := send("step", `{"rule":"sgd","lr":100}`); status != 200 && status != 422 {
			t.Fatalf("status %d, %s", status, body)
		}
	}
	if status, body := send("explain", `{"of":"gradient","place":1,"index":3}`); status != 200 && status != 422 {
		t.Errorf("status %d, %s", status, body)
	}
	for range 12 {
		send("undo", "")
	}
	if status, body := send("forward", strings.Repeat("\x00\xff", 72)); status != 200 {
		t.Errorf("status %d, %s", status, body)
	}
}

// TestSessionsMakeRoom: the session unused for longest is closed when there are too many.
func TestSessionsMakeRoom(t *testing.T) {
	s := start(t, "", func(l *Limits) { l.Sessions = 2 })
	first, second := openedSession(t, s, "net"), openedSession(t, s, "net")
	pixels := make([]byte, 144)
	status := func(path string) int {
		code, _ := do(t, request(t, "POST", path+"forward", pixels))
		return code
	}
	if status(first) != 200 {
		t.Error("the first session is gone too early")
	}
	third := openedSession(t, s, "net")
	if a, b, c := status(first), status(second), status(third); a != 200 || b != http.StatusGone || c != 200 {
		t.Errorf("statuses %d, %d and %d, want 200, 410 and 200", a, b, c)
	}
	var all sync.WaitGroup // opening, using and closing at the same time
	for range 20 {
		all.Go(func() {
			path := openedSession(t, s, "net")
			if code := status(path); code != 200 && code != http.StatusGone {
				t.Errorf("status %d", code)
			}
		})
	}
	all.Wait()
	if n := s.server.sessions.count(); n != 2 {
		t.Errorf("%d sessions, want 2", n)
	}
}

// TestPage: the page's files arrive with their types, and allow nothing from elsewhere.
func TestPage(t *testing.T) {
	s := start(t, "", nil)
	for path, kind := range map[string]string{"/": "text/html", "/app.js": "text/javascript", "/umap.js": "text/javascript", "/app.css": "text/css"} {
		response, err := http.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != 200 || !strings.HasPrefix(response.Header.Get("Content-Type"), kind) {
			t.Errorf("%s: status %d, %s", path, response.StatusCode, response.Header.Get("Content-Type"))
		}
	}
	// A link from elsewhere may open the page, and nothing else.
	if status, _ := do(t, request(t, "GET", s.url+"/", nil, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")); status != 200 {
		t.Errorf("a link to the page: status %d", status)
	}
	if status, _ := do(t, request(t, "GET", s.url+"/", nil, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe")); status != 403 {
		t.Errorf("a frame with the page: status %d", status)
	}
}

// stuckWriter is the connection of a client that takes nothing.
type stuckWriter struct {
	*httptest.ResponseRecorder
	writes, goOn chan struct{}
}

func (w stuckWriter) Write(p []byte) (int, error) {
	select {
	case w.writes <- struct{}{}:
	default:
	}
	<-w.goOn
	return w.ResponseRecorder.Write(p)
}

// TestSlowReaderOfNetworks: a client that doesn't take the list of networks keeps nobody from opening one.
func TestSlowReaderOfNetworks(t *testing.T) {
	s := start(t, "", nil)
	w := stuckWriter{httptest.NewRecorder(), make(chan struct{}, 1), make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r := httptest.NewRequest("GET", "/api/networks", nil)
		r.Host = "localhost"
		s.server.handler().ServeHTTP(w, r)
	}()
	<-w.writes
	if !s.server.mu.TryLock() {
		t.Error("the list of networks is locked while a client is sent it")
	} else {
		s.server.mu.Unlock()
	}
	close(w.goOn)
	<-done
}
