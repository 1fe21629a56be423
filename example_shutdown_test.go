package fprom_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/nethttpadapter"
)

// A service ends with a signal: first its handlers, which record sales, then the Tracker, which delivers them.
func ExampleTracker_Shutdown() {
	cfg, fake := fakeConfig() // in a program: cfg := fprom.Config{}
	defer fake.Close()
	tracker, err := fprom.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := nethttpadapter.Middleware(tracker)(http.NotFoundHandler())
	server := &http.Server{Addr: "127.0.0.1:0", Handler: handler, ReadHeaderTimeout: 5 * time.Second}

	stopped, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	go func() {
		if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			fmt.Println(err)
			stop() // it cannot serve
		}
	}()
	stop() // in a program the signal does it
	<-stopped.Done()

	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err = errors.Join(server.Shutdown(ctx), tracker.Shutdown(ctx))
	fmt.Println("shut down:", err)
	// Output: shut down: <nil>
}

// Flush waits until what was accepted has its outcome, as at the end of a test or a job.
func ExampleTracker_Flush() {
	cfg, fake := fakeConfig()
	defer fake.Close()
	tracker, err := fprom.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = tracker.Shutdown(context.Background()) }()

	sale := fprom.Sale{EventID: "ch_1", Email: "jane@example.com", Amount: 4900, Currency: "USD"}
	if err := tracker.Enqueue(context.Background(), sale); err != nil {
		fmt.Println(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	switch err := tracker.Flush(ctx); {
	case errors.Is(err, fprom.ErrNotDue):
		fmt.Println("the rest waits for its time") // FirstPromoter does not know a referral yet
	case err != nil:
		fmt.Println("not everything is delivered:", err)
	}
	fmt.Println("tracked:", tracker.Stats().Tracked)
	// Output: tracked: 1
}

// In development there are no credentials. A nil Tracker validates and drops what is recorded.
func Example_noCredentials() {
	defer withoutCredentials()() // whoever runs this example may have some

	tracker, err := fprom.New(fprom.Config{})
	switch {
	case errors.Is(err, fprom.ErrNoCredentials):
		fmt.Println("nothing is reported")
	case err != nil:
		fmt.Println(err) // a mistake: the error names the field
		return
	}
	handler := nethttpadapter.Middleware(tracker)(http.NotFoundHandler())
	fmt.Println(handler != nil, tracker.Shutdown(context.Background()))
	// Output:
	// nothing is reported
	// true <nil>
}

// withoutCredentials takes them out of the environment until the function that it returns is called.
func withoutCredentials() (restore func()) {
	before := map[string]string{}
	for _, name := range []string{"FIRSTPROMOTER_API_KEY", "FIRSTPROMOTER_ACCOUNT_ID"} {
		if v, ok := os.LookupEnv(name); ok {
			before[name] = v
			_ = os.Unsetenv(name)
		}
	}
	return func() {
		for name, v := range before {
			_ = os.Setenv(name, v)
		}
	}
}
