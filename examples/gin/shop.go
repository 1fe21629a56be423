package main

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"sync"

	"github.com/gin-gonic/gin"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/ginadapter"
)

// item is what the shop sells. Amounts are in cents.
type item struct {
	Name  string `json:"name"`
	Price int64  `json:"price"` // before tax
	Tax   int64  `json:"tax"`
}

var catalog = map[string]item{
	"mug":    {"Mug", 1200, 240},
	"shirt":  {"Shirt", 2500, 500},
	"course": {"Course, one month", 4900, 980},
}

// payment is a charge that succeeded.
type payment struct {
	email    string
	amount   int64 // before tax
	refunded bool
}

type shop struct {
	mu       sync.Mutex
	payments map[string]payment // by charge id
}

// newShop returns the handler of the shop, its status page and its metrics.
func newShop(tracker *fprom.Tracker, ops operations) http.Handler {
	s := &shop{payments: map[string]payment{}}
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(gin.Recovery(), ginadapter.Middleware(tracker))
	r.GET("/", func(c *gin.Context) { c.JSON(http.StatusOK, catalog) })
	r.POST("/signup", s.signup)
	r.POST("/checkout", s.checkout)
	r.POST("/refund", s.refund)
	r.GET("/status", func(c *gin.Context) { c.JSON(http.StatusOK, tracker.Stats()) })
	r.Any("/fprom/*path", gin.WrapH(ops.page))
	r.GET("/metrics", gin.WrapH(ops.metrics))
	return r
}

// signup reports the customer as a lead, if the visitor's cookie says that a promoter brought them.
func (s *shop) signup(c *gin.Context) {
	var in struct {
		Email string `json:"email" binding:"required,email"`
	}
	if !decode(c, &in) {
		return
	}
	if fprom.AttributionFrom(c.Request).TID != "" { // no promoter brought the others: nothing to report
		record(c, fprom.Signup{Email: in.Email}) // the middleware fills in the TID
	}
	c.JSON(http.StatusCreated, gin.H{"email": in.Email})
}

func (s *shop) checkout(c *gin.Context) {
	var in struct {
		Email string `json:"email" binding:"required,email"`
		Item  string `json:"item"  binding:"required"`
		Card  string `json:"card"`
	}
	if !decode(c, &in) {
		return
	}
	it, ok := catalog[in.Item]
	if !ok {
		fail(c, http.StatusNotFound, "no such item: GET / lists them")
		return
	}
	charge, err := s.charge(in.Card, payment{email: in.Email, amount: it.Price})
	if err != nil {
		fail(c, http.StatusPaymentRequired, err.Error())
		return
	}
	record(c, fprom.Sale{
		EventID:  charge,   // the id of this payment, not of the customer or a subscription
		Email:    in.Email, // the same as in the sign-up
		Amount:   it.Price, // before tax; the card is charged price and tax
		Currency: "USD",
		Plan:     in.Item,
	})
	c.JSON(http.StatusOK, gin.H{"charge": charge, "paid": it.Price + it.Tax})
}

func (s *shop) refund(c *gin.Context) {
	var in struct {
		Charge string `json:"charge" binding:"required"`
	}
	if !decode(c, &in) {
		return
	}
	p, ok := s.takeBack(in.Charge)
	if !ok {
		fail(c, http.StatusNotFound, "no such charge, or it is refunded already")
		return
	}
	refund := "re_" + rand.Text()
	record(c, fprom.Refund{
		EventID:     refund, // the refund's own id
		SaleEventID: in.Charge,
		Email:       p.email,
		Amount:      p.amount, // positive, and before tax, as in the sale
		Currency:    "USD",
	})
	c.JSON(http.StatusOK, gin.H{"refund": refund})
}

// record records an event that is reported if the handler succeeds. An error means that the event is wrong. The customer has paid by
// then, so the request continues. Watch the log for such errors.
func record(c *gin.Context, e fprom.Event) {
	if err := ginadapter.Record(c, e); err != nil {
		slog.ErrorContext(c.Request.Context(), "not reported to FirstPromoter", "error", err)
	}
}

// charge imitates the billing provider.
func (s *shop) charge(card string, p payment) (id string, err error) {
	if card == "declined" {
		return "", errors.New("the card was declined")
	}
	id = "ch_" + rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.payments[id] = p
	return id, nil
}

// takeBack imitates a refund of the billing provider.
func (s *shop) takeBack(charge string) (payment, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.payments[charge]
	if !ok || p.refunded {
		return payment{}, false
	}
	p.refunded = true
	s.payments[charge] = p
	return p, true
}

func decode(c *gin.Context, in any) bool {
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, 1<<16)
	if err := c.ShouldBindJSON(in); err != nil {
		fail(c, http.StatusBadRequest, err.Error())
		return false
	}
	return true
}

func fail(c *gin.Context, status int, text string) {
	c.AbortWithStatusJSON(status, gin.H{"error": text})
}
