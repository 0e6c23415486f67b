/* nRF52833, nRF52840: a PDM microphone, EasyDMA into one half and then the other.
 * Registers: nRF52840 Product Specification v1.7, 6.19 (PDM). */
#include "capture/frames.h"
#include "hal.h"

#define PDM_TASKS_START    REG32(0x4001D000u)
#define PDM_TASKS_STOP     REG32(0x4001D004u)
#define PDM_EVENTS_STARTED REG32(0x4001D100u)
#define PDM_EVENTS_STOPPED REG32(0x4001D104u)
#define PDM_EVENTS_END     REG32(0x4001D108u)
#define PDM_INTENSET       REG32(0x4001D304u)
#define PDM_INTENCLR       REG32(0x4001D308u)
#define PDM_ENABLE         REG32(0x4001D500u)
#define PDM_PDMCLKCTRL     REG32(0x4001D504u)
#define PDM_MODE           REG32(0x4001D508u)
#define PDM_RATIO          REG32(0x4001D520u)
#define PDM_PSEL_CLK       REG32(0x4001D540u)
#define PDM_PSEL_DIN       REG32(0x4001D544u)
#define PDM_SAMPLE_PTR     REG32(0x4001D560u)
#define PDM_SAMPLE_MAXCNT  REG32(0x4001D564u)

#define PDM_MONO       1u
#define PDM_INTERRUPTS ((1u << 2) | 1u) /* END, STARTED */
#define PDM_1000_KHZ   0x08000000u
#define PDM_1280_KHZ   0x0A000000u

#define GPIO_PIN_CNF(pin)                                                                          \
    REG32(((pin) < 32u ? 0x50000000u : 0x50000300u) + 0x700u + 4u * ((pin) & 31u))
#define GPIO_OUTCLR(pin) REG32(((pin) < 32u ? 0x50000000u : 0x50000300u) + 0x50Cu)
#define GPIO_OUTPUT      3u
#define GPIO_INPUT       0u

static const uint16_t *halves_of;
static uint32_t length, filling, frame_cycles, last_end;

/* Clock over ratio is the rate; false for a rate that no pair makes. */
static bool set_rate(uint32_t rate_hz) {
    bool by_80 = rate_hz == 16000u || rate_hz == 12500u;
    bool fast = rate_hz == 16000u || rate_hz == 20000u;
    if (!by_80 && !fast && rate_hz != 15625u) {
        return false;
    }
    PDM_PDMCLKCTRL = fast ? PDM_1280_KHZ : PDM_1000_KHZ;
    PDM_RATIO = by_80 ? 1u : 0u;
    return true;
}

static void pins(void) {
    GPIO_OUTCLR(EDGEQ_CAPTURE_CLK_PIN) = 1u << (EDGEQ_CAPTURE_CLK_PIN & 31u);
    GPIO_PIN_CNF(EDGEQ_CAPTURE_CLK_PIN) = GPIO_OUTPUT;
    GPIO_PIN_CNF(EDGEQ_CAPTURE_DIN_PIN) = GPIO_INPUT;
    PDM_PSEL_CLK = EDGEQ_CAPTURE_CLK_PIN;
    PDM_PSEL_DIN = EDGEQ_CAPTURE_DIN_PIN;
}

static void point_at(uint32_t half) {
    PDM_SAMPLE_PTR = (uint32_t)(uintptr_t)(halves_of + half * length);
}

bool capture_start(uint16_t *halves, uint32_t samples, uint32_t rate_hz) {
    if (samples == 0u || samples > 0x3FFFu || !set_rate(rate_hz)) {
        return false;
    }
    frames_begin(halves, samples);
    halves_of = halves;
    length = samples;
    filling = 1; /* the first STARTED turns it */
    frame_cycles = (uint32_t)((uint64_t)samples * hal_clock_hz() / rate_hz);
    last_end = hal_cycles();
    pins();
    PDM_MODE = PDM_MONO;
    PDM_ENABLE = 1u;
    point_at(0);
    PDM_SAMPLE_MAXCNT = samples;
    PDM_EVENTS_STARTED = 0u;
    PDM_EVENTS_END = 0u;
    PDM_INTENSET = PDM_INTERRUPTS;
    NVIC_ISER(EDGEQ_CAPTURE_IRQ) = NVIC_BIT(EDGEQ_CAPTURE_IRQ);
    PDM_TASKS_START = 1u;
    return true;
}

/* Two ends that were masked look like one: only the time tells them apart. A counter that stands
 * still in sleep makes none up. */
static void ended(void) {
    uint32_t now = hal_cycles();
    uint32_t since = now - last_end;
    for (; since >= 2u * frame_cycles - frame_cycles / 8u; since -= frame_cycles) {
        frames_missed();
    }
    last_end = since > frame_cycles ? now - (since - frame_cycles) : now;
    frames_filled(filling == 0u, filling == 1u);
}

/* The pointer is latched when a half begins: the next one is set then. */
void capture_interrupt(void) {
    if (PDM_EVENTS_END != 0u) {
        PDM_EVENTS_END = 0u;
        ended();
    }
    if (PDM_EVENTS_STARTED != 0u) {
        PDM_EVENTS_STARTED = 0u;
        filling ^= 1u;
        point_at(filling ^ 1u);
    }
    (void)PDM_EVENTS_STARTED; /* the clear has reached the peripheral before the return */
}

void capture_stop(void) {
    PDM_INTENCLR = PDM_INTERRUPTS;
    NVIC_ICER(EDGEQ_CAPTURE_IRQ) = NVIC_BIT(EDGEQ_CAPTURE_IRQ);
    PDM_EVENTS_STOPPED = 0u;
    PDM_TASKS_STOP = 1u;
    (void)port_wait(&PDM_EVENTS_STOPPED, 1u, 1u);
    PDM_ENABLE = 0u;
}
