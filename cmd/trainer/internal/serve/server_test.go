package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"trainer/cmd/trainer/internal/answer"
	"trainer/cpu"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/model"
)

// testModel returns a small network with random weights, for gray images of 12 x 12 pixels.
func testModel(t testing.TB) *model.Model {
	t.Helper()
	dev := testDevice(t)
	network := nn.NewSequential(nn.Conv2D{OutC: 4, Kernel: nn.Square(3)}, nn.ReLU{}, nn.MaxPool2D{Kernel: nn.Square(2)}, nn.Flatten{}, nn.Dense{Out: 7})
	net, err := nn.Compile(dev, network, nn.Options{Input: nn.Shape{12, 12, 1}, Batch: 64, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	info := model.Info{Images: model.ImagesOf(data.Preparation{H: 12, W: 12, C: 1}, []float32{0.3}, []float32{0.4})}
	for k := range 7 {
		info.Classes = append(info.Classes, fmt.Sprintf("class <%d>", k))
	}
	m, err := model.New(net, info)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// testDevice returns a device that is closed at the end of the test.
func testDevice(t testing.TB) device.Device {
	t.Helper()
	dev, err := cpu.Kind().Open(0, device.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return dev
}

// running is a server that listens.
type running struct {
	url      string
	model    *model.Model
	server   *Server
	workshop *fakeWorkshop
	stop     func() error
	mu       sync.Mutex
	logged   []string
}

func (r *running) log(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.logged = append(r.logged, fmt.Sprintf(format, args...))
}

// start lets a server listen on a free port of this machine, with other limits than the default if change is not nil.
func start(t testing.TB, token string, change func(*Limits)) *running {
	t.Helper()
	m := testModel(t)
	limits := DefaultLimits()
	if change != nil {
		change(&limits)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &running{url: "http://" + l.Addr().String(), model: m, workshop: &fakeWorkshop{}}
	r.server = New(Config{Models: []Model{{Name: "digits", Trained: m}}, Networks: testNetworks(t, testDevice(t)), Workshop: r.workshop, OpenRun: r.workshop.openRun, Token: token, Hosts: []string{"Digits.example"}, Limits: limits, Address: l.Addr(), Log: r.log})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.server.Serve(ctx, l) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return r
}

// drawing returns a picture of a size, and its PNG file.
func drawing(seed, width, height int) (image.Image, []byte) {
	im := image.NewGray(image.Rect(0, 0, width, height))
	for i := range im.Pix {
		im.Pix[i] = byte((i*i*31 + seed*97*i) >> 3)
	}
	im.SetGray(0, 0, color.Gray{byte(seed)})
	var b bytes.Buffer
	if err := png.Encode(&b, im); err != nil {
		panic(err)
	}
	return im, b.Bytes()
}

// do sends a request and returns status and body.
func do(t testing.TB, r *http.Request) (int, string) {
	t.Helper()
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func request(t testing.TB, method, url string, body []byte, headers ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		} else {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	return r
}

// wanted is the answer that the model gives by itself.
func wanted(t testing.TB, m *model.Model, name string, im image.Image, top int) answer.Picture {
	t.Helper()
	ranked, err := m.Predict(im)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Of(name, ranked, top)
}

func line(p answer.Picture) string {
	var b strings.Builder
	_ = p.Write(&b)
	return b.String()
}

func TestPredictAnswersAsTheModel(t *testing.T) {
	s := start(t, "", nil)
	im, file := drawing(1, 12, 12)
	large, largeFile := drawing(2, 70, 31)
	for _, c := range []struct {
		name, url string
		im        image.Image
		file      []byte
		top       int
	}{
		{"a picture of the network's size", "/predict", im, file, 5},
		{"a larger picture", "/predict?model=digits", large, largeFile, 5},
		{"fewer classes", "/predict?top=2", im, file, 2},
		{"more classes than there are", "/predict?top=1000", im, file, 7},
	} {
		status, body := do(t, request(t, "POST", s.url+c.url, c.file))
		if want := line(wanted(t, s.model, "", c.im, c.top)); status != http.StatusOK || body != want {
			t.Errorf("%s: status %d, %s, want %s", c.name, status, body, want)
		}
	}
}

func TestPredictForm(t *testing.T) {
	s := start(t, "", nil)
	im, file := drawing(1, 12, 12)
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	for _, part := range []struct {
		name    string
		content []byte
	}{{"a.png", file}, {"../../etc/passwd", []byte("no picture")}, {`C:\x\<b>.png`, file}, {strings.Repeat("é", 400), file}} {
		f, err := w.CreateFormFile("picture", part.name)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = f.Write(part.content)
	}
	w.Close()
	status, body := do(t, request(t, "POST", s.url+"/predict?top=1", form.Bytes(), "Content-Type", w.FormDataContentType()))
	var names []string
	for text := range strings.Lines(body) {
		var got answer.Picture
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		names = append(names, got.Path)
		if got.Path == "passwd" {
			if got.Class != "" || !strings.Contains(got.Error, "unknown format") {
				t.Errorf("no picture: %s", text)
			}
		} else if want := line(wanted(t, s.model, got.Path, im, 1)); text != want {
			t.Errorf("got %s, want %s", text, want)
		}
	}
	if status != http.StatusOK || len(names) != 4 || names[2] != "<b>.png" || len(names[3]) > maxName {
		t.Errorf("status %d, names %q", status, names)
	}
}

// TestRefusals has the refusals of every route: a status, and one line of JSON with an error.
func TestRefusals(t *testing.T) {
	s := start(t, "", func(l *Limits) {
		l.Body, l.Pictures = 1<<20, 2
	})
	_, file := drawing(1, 12, 12)
	_, gigapixel := drawing(1, 12, 12)
	copy(gigapixel[16:], "\x00\x00\xff\xff\x00\x00\xff\xff")
	form := func(parts ...string) (string, []byte) {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		for _, p := range parts {
			f, _ := w.CreateFormFile("p", p)
			_, _ = f.Write(file)
		}
		w.Close()
		return w.FormDataContentType(), b.Bytes()
	}
	threeType, three := form("1", "2", "3")
	noneType, none := form()
	for _, c := range []struct {
		name, method, path string
		body               []byte
		headers            []string
		status             int
		want               string
	}{
		{"another host", "GET", "/healthz", nil, []string{"Host", "attacker.example"}, 421, "another host"},
		{"another address", "GET", "/healthz", nil, []string{"Host", "192.0.2.1"}, 421, "another host"},
		{"a host that looks alike", "GET", "/healthz", nil, []string{"Host", "localhost.attacker.example:8080"}, 421, "another host"},
		{"another origin", "POST", "/predict", file, []string{"Origin", "http://attacker.example"}, 403, "another site"},
		{"no origin", "POST", "/predict", file, []string{"Origin", "null"}, 403, "another site"},
		{"another site", "POST", "/predict", file, []string{"Sec-Fetch-Site", "cross-site"}, 403, "another site"},
		{"another port of this machine", "POST", "/predict", file, []string{"Sec-Fetch-Site", "same-site"}, 403, "another site"},
		{"a picture in another site's page", "GET", "/healthz", nil, []string{"Sec-Fetch-Site", "cross-site"}, 403, "another site"},
		{"a link to something else than the page", "GET", "/metrics", nil, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, 403, "another site"},
		{"an unknown path", "GET", "/etc/passwd", nil, nil, 404, "nothing at this path"},
		{"a path upwards", "GET", "/%2e%2e/%2e%2e/etc/passwd", nil, nil, 404, "nothing at this path"},
		{"a wrong method", "GET", "/predict", nil, nil, 405, "POST"},
		{"another wrong method", "DELETE", "/healthz", nil, nil, 405, "GET"},
		{"an unknown method", "EXPLODE", "/metrics", nil, nil, 405, "GET"},
		{"an unknown model", "POST", "/predict?model=../x", file, nil, 404, "the models are digits"},
		{"no number", "POST", "/predict?top=many", file, nil, 400, "a number from 1"},
		{"nothing", "POST", "/predict", nil, nil, 400, "the body is empty"},
		{"no picture", "POST", "/predict", []byte("no picture"), nil, 422, "unknown format"},
		{"half a picture", "POST", "/predict", file[:50], nil, 422, "invalid format"},
		{"a gigapixel", "POST", "/predict", gigapixel, nil, 422, ""},
		{"too many bytes", "POST", "/predict", make([]byte, 1<<20+1), nil, 413, "larger than 1 MiB"},
		{"a form without a boundary", "POST", "/predict", file, []string{"Content-Type", "multipart/form-data"}, 400, "malformed"},
		{"a form that is none", "POST", "/predict", file, []string{"Content-Type", "multipart/form-data; boundary=x"}, 400, ""},
		{"an empty form", "POST", "/predict", none, []string{"Content-Type", noneType}, 400, "no files"},
		{"too many files", "POST", "/predict", three, []string{"Content-Type", threeType}, 413, "more than 2 files"},
		{"a form of fields", "POST", "/predict", []byte("--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--x--\r\n"), []string{"Content-Type", "multipart/form-data; boundary=x"}, 400, "not a file"},
	} {
		status, body := do(t, request(t, c.method, s.url+c.path, c.body, c.headers...))
		var got struct{ Error string }
		if err := json.Unmarshal([]byte(body), &got); err != nil || got.Error == "" || strings.Count(body, "\n") != 1 {
			t.Errorf("%s: %q is not a line of JSON with an error", c.name, body)
		}
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s: status %d, %s, want %d and %q", c.name, status, body, c.status, c.want)
		}
	}
}

func TestHostsThatAreOurs(t *testing.T) {
	s := start(t, "", nil)
	for _, host := range []string{"localhost", "LOCALHOST:9000", "127.0.0.1", "[::1]:8080", "::1", "digits.example", "digits.example.", "127.9.9.9:80"} {
		if status, body := do(t, request(t, "GET", s.url+"/healthz", nil, "Host", host)); status != http.StatusOK || body != "{\"status\":\"ok\"}\n" {
			t.Errorf("host %s: status %d, %s", host, status, body)
		}
	}
	for _, h := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "Cross-Origin-Resource-Policy"} {
		response, err := http.Get(s.url + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.Header.Get(h) == "" || strings.Contains(response.Header.Get(h), "unsafe") {
			t.Errorf("%s: %q", h, response.Header.Get(h))
		}
	}
}

// TestAddressesOfOthers: a server that listens for other machines answers to any of its addresses.
func TestAddressesOfOthers(t *testing.T) {
	g := guard{hosts: []string{"digits.example"}}
	for host, want := range map[string]bool{"192.0.2.1:8080": true, "[2001:db8::1]": true, "digits.example": true, "attacker.example": false, "": false} {
		if g.isHost(host) != want {
			t.Errorf("host %q: %v, want %v", host, !want, want)
		}
	}
}

func TestToken(t *testing.T) {
	const token = "0123456789abcdef"
	s := start(t, token, nil)
	for _, c := range []struct {
		name, path string
		headers    []string
		status     int
	}{
		{"no token", "/metrics", nil, 401},
		{"a wrong token", "/metrics", []string{"Authorization", "Bearer 0123456789abcdeg"}, 401},
		{"an empty token", "/metrics", []string{"Authorization", "Bearer "}, 401},
		{"the token", "/metrics", []string{"Authorization", "Bearer " + token}, 200},
		{"the token in an address that is not the page's", "/metrics?token=" + token, nil, 401},
		{"the token as the cookie", "/metrics", []string{"Cookie", s.server.guard.cookie + "=" + token}, 401},
		{"a wrong token for the page", "/?token=x", nil, 401},
		{"the page without a token", "/", nil, 401},
		{"a script of the page", "/app.js", nil, 401},
		{"the networks", "/api/networks", nil, 401},
		{"health", "/healthz", nil, 200},
	} {
		if status, body := do(t, request(t, "GET", s.url+c.path, nil, c.headers...)); status != c.status {
			t.Errorf("%s: status %d, %s, want %d", c.name, status, body, c.status)
		}
	}
	response, err := http.DefaultTransport.RoundTrip(request(t, "GET", s.url+"/?token="+token, nil))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	cookies := response.Cookies()
	if response.StatusCode != 200 || len(cookies) != 1 {
		t.Fatalf("status %d, cookies %v", response.StatusCode, cookies)
	}
	if c := cookies[0]; !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || strings.Contains(c.Value, token) {
		t.Errorf("cookie %v", c)
	}
	if status, _ := do(t, request(t, "GET", s.url+"/metrics", nil, "Cookie", cookies[0].Name+"="+cookies[0].Value)); status != 200 {
		t.Errorf("status %d with the cookie", status)
	}
}

// TestManyClients: 200 clients at once get the answers of their own pictures, in batches.
func TestManyClients(t *testing.T) {
	const clients, each = 200, 5
	s := start(t, "", nil)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	wants, files := make([]string, clients), make([][]byte, clients)
	for n := range clients {
		im, file := drawing(n, 12+n%5, 12)
		wants[n], files[n] = line(wanted(t, s.model, "", im, 5)), file
	}
	var all sync.WaitGroup
	for n := range clients {
		all.Go(func() {
			for range each {
				response, err := client.Post(s.url+"/predict", "image/png", bytes.NewReader(files[n]))
				if err != nil {
					t.Error(err)
					return
				}
				body, _ := io.ReadAll(response.Body)
				response.Body.Close()
				if string(body) != wants[n] {
					t.Errorf("client %d: status %d, %s, want %s", n, response.StatusCode, body, wants[n])
				}
			}
		})
	}
	all.Wait()
	_, text := do(t, request(t, "GET", s.url+"/metrics", nil))
	if want := fmt.Sprintf(`trainer_pictures_total{model="digits",result="answered"} %d`, clients*each); !strings.Contains(text, want) {
		t.Errorf("/metrics lacks %s", want)
	}
	var passes int
	for l := range strings.Lines(text) {
		_, _ = fmt.Sscanf(l, `trainer_batch_pictures_count{model="digits"} %d`, &passes)
	}
	if passes == 0 || passes > clients*each { // how many depends on how fast clients ask: TestBatches
		t.Errorf("%d passes for %d pictures", passes, clients*each)
	}
	if held := s.server.bodies; !held.free.TryAcquire(s.server.limits.Bodies) {
		t.Error("memory was not given back")
	}
}

// TestBatches: questions that wait while the device computes share the next passes.
func TestBatches(t *testing.T) {
	const clients = 200
	var passes atomic.Int64
	b := &batcher{queue: make(chan *question, clients), max: 64, classes: 1, observed: func(int, time.Duration) {}}
	b.forward = func(pixels []byte) ([]float64, error) {
		if passes.Add(1) == 1 {
			for len(b.queue) < clients-len(pixels) { // all the others
				time.Sleep(time.Millisecond)
			}
		}
		probabilities := make([]float64, len(pixels))
		for k, v := range pixels {
			probabilities[k] = float64(v)
		}
		return probabilities, nil
	}
	go b.run(t.Context())
	var all sync.WaitGroup
	for n := range clients {
		b.coming.Add(1)
		all.Go(func() {
			if p, err := b.ask(t.Context(), []byte{byte(n)}); err != nil || p[0] != float64(n) {
				t.Errorf("client %d: %v, %v", n, p, err)
			}
		})
	}
	all.Wait()
	if n := passes.Load(); n > clients/2 {
		t.Errorf("%d passes for %d pictures, want at most half", n, clients)
	}
}

// TestSlowClients: clients that send slowly lose their connections, and hold up nobody.
func TestSlowClients(t *testing.T) {
	s := start(t, "", func(l *Limits) {
		l.HeaderTime, l.ReadTime = 300*time.Millisecond, 400*time.Millisecond
	})
	address := strings.TrimPrefix(s.url, "http://")
	for name, begin := range map[string]string{
		"nothing":     "",
		"half a line": "POST /pre",
		"no body":     "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n",
		"half a body": "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n\x89PNG",
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, begin); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		if reply, err := io.ReadAll(conn); err != nil { // until the server closes
			t.Errorf("%s: the connection stays open: %v (%q)", name, err, reply)
		}
	}
	im, file := drawing(4, 12, 12)
	if status, body := do(t, request(t, "POST", s.url+"/predict", file)); status != 200 || body != line(wanted(t, s.model, "", im, 5)) {
		t.Errorf("status %d, %s", status, body)
	}
}

// TestMemoryOfBodies: a client that claims much holds only what it sent, and beyond the memory there is a refusal.
func TestMemoryOfBodies(t *testing.T) {
	s := start(t, "", func(l *Limits) { l.Bodies = 1 << 20 })
	var claims []net.Conn
	for range 50 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30000000\r\n\r\n\x89PNG")
		claims = append(claims, conn)
	}
	im, file := drawing(4, 12, 12)
	if status, body := do(t, request(t, "POST", s.url+"/predict", file)); status != 200 || body != line(wanted(t, s.model, "", im, 5)) {
		t.Errorf("status %d, %s", status, body)
	}
	if status, body := do(t, request(t, "POST", s.url+"/predict", make([]byte, 2<<20))); status != 503 || !strings.Contains(body, "busy") {
		t.Errorf("status %d, %s", status, body)
	}
	for _, c := range claims {
		c.Close()
	}
}

// TestPanicsAreContained: a fault in the engine is an answer, and the server goes on.
func TestPanicsAreContained(t *testing.T) {
	s := start(t, "", nil)
	_, file := drawing(1, 12, 12)
	m := s.server.models[0]
	forward := m.batcher.forward
	m.batcher.forward = func([]byte) ([]float64, error) { panic("a fault") }
	if status, body := do(t, request(t, "POST", s.url+"/predict", file)); status != 500 || strings.Contains(body, "a fault") {
		t.Errorf("status %d, %s", status, body)
	}
	m.batcher.forward = func([]byte) ([]float64, error) {
		return nil, s.server.answering.use(func() error { return &device.Error{} })
	}
	if status, _ := do(t, request(t, "POST", s.url+"/predict", file)); status != 500 {
		t.Errorf("status %d", status)
	}
	if status, body := do(t, request(t, "GET", s.url+"/healthz", nil)); status != 503 {
		t.Errorf("after a fault of the device: status %d, %s", status, body)
	}
	m.batcher.forward = forward
	if status, _ := do(t, request(t, "POST", s.url+"/predict", file)); status != 200 {
		t.Errorf("status %d", status)
	}
	if s.mu.Lock(); len(s.logged) == 0 || !strings.Contains(s.logged[0], "a fault") {
		t.Errorf("log %q", s.logged)
	}
	s.mu.Unlock()
}

// TestStop: the server gives the answers that it has begun, and no others.
func TestStop(t *testing.T) {
	s := start(t, "", nil)
	_, file := drawing(1, 12, 12)
	begun, goOn := make(chan bool), make(chan bool)
	m := s.server.models[0]
	forward := m.batcher.forward
	m.batcher.forward = func(p []byte) ([]float64, error) {
		close(begun)
		<-goOn
		return forward(p)
	}
	status := make(chan int)
	go func() {
		code, _ := do(t, request(t, "POST", s.url+"/predict", file))
		status <- code
	}()
	<-begun
	ended := make(chan error)
	go func() { ended <- s.stop() }()
	time.Sleep(20 * time.Millisecond)
	close(goOn)
	if code := <-status; code != 200 {
		t.Errorf("status %d", code)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://")); err == nil {
		t.Error("the server still listens")
	}
}

// BenchmarkPredict measures pictures per second of one client and of 200, over HTTP.
func BenchmarkPredict(b *testing.B) {
	for _, clients := range []int{1, 200} {
		b.Run(fmt.Sprint(clients), func(b *testing.B) {
			s := start(b, "", nil)
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
			defer client.CloseIdleConnections()
			_, file := drawing(1, 28, 28)
			work := make(chan bool)
			var all sync.WaitGroup
			for range clients {
				all.Go(func() {
					for range work {
						response, err := client.Post(s.url+"/predict", "image/png", bytes.NewReader(file))
						if err != nil {
							b.Error(err)
							continue
						}
						_, _ = io.Copy(io.Discard, response.Body)
						response.Body.Close()
					}
				})
			}
			b.ResetTimer()
			for range b.N {
				work <- true
			}
			close(work)
			all.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pictures/s")
		})
	}
}
