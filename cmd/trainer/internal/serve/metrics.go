package serve

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are the numbers of /metrics. Labels have values of the program only, never of a client: each value costs memory
// until the end.
type metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.HistogramVec // seconds, by route and status
	refused   *prometheus.CounterVec   // by reason
	pictures  *prometheus.CounterVec   // by model and result
	batch     *prometheus.HistogramVec // pictures per forward pass, by model
	computing *prometheus.HistogramVec // seconds per forward pass, by model
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "trainer_request_seconds", Help: "Time from the headers of a request to the end of its answer.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}, []string{"route", "status"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trainer_refused_total", Help: "Requests that were refused, by reason.",
		}, []string{"reason"}),
		pictures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trainer_pictures_total", Help: "Pictures of /predict: answered, or unreadable.",
		}, []string{"model", "result"}),
		batch: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "trainer_batch_pictures", Help: "Pictures per forward pass of /predict.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 9),
		}, []string{"model"}),
		computing: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "trainer_forward_seconds", Help: "Time of a forward pass of /predict, waiting for the device included.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16),
		}, []string{"model"}),
	}
	m.registry.MustRegister(m.requests, m.refused, m.pictures, m.batch, m.computing,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// handler answers /metrics.
func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// measured is a handler whose requests are counted as those of a route.
func (m *metrics) measured(route string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		seen := &statusWriter{ResponseWriter: w}
		defer func() {
			m.requests.WithLabelValues(route, strconv.Itoa(seen.code())).Observe(time.Since(begin).Seconds())
		}()
		h.ServeHTTP(seen, r)
	})
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int // 0 until the headers are written
}

// WriteHeader implements http.ResponseWriter.
func (s *statusWriter) WriteHeader(status int) {
	if s.status == 0 {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (s *statusWriter) Write(p []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	return s.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *statusWriter) code() int {
	if s.status == 0 {
		return http.StatusOK
	}
	return s.status
}
