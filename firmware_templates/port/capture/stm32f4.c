/* STM32F401, F405, F411, F446: TIM3 triggers ADC1, DMA2's stream 0 takes it.
 * Registers: RM0390 (F446), chapters 6 (RCC), 9 (DMA), 13 (ADC), 17 (TIM3); the others' are alike.
 */
#include "capture/frames.h"
#include "hal.h"
#include "stm32/stm32.h"

#define RCC_AHB1ENR REG32(0x40023830u)
#define RCC_APB1ENR REG32(0x40023840u)
#define RCC_APB2ENR REG32(0x40023844u)
#define TIM3_CR1    REG32(0x40000400u)
#define TIM3_CR2    REG32(0x40000404u)
#define TIM3_PSC    REG32(0x40000428u)
#define TIM3_ARR    REG32(0x4000042Cu)
#define DMA_LISR    REG32(0x40026400u)
#define DMA_LIFCR   REG32(0x40026408u)
#define DMA_S0CR    REG32(0x40026410u)
#define DMA_S0NDTR  REG32(0x40026414u)
#define DMA_S0PAR   REG32(0x40026418u)
#define DMA_S0M0AR  REG32(0x4002641Cu)
#define ADC_CR1     REG32(0x40012004u)
#define ADC_CR2     REG32(0x40012008u)
#define ADC_SMPR2   REG32(0x40012010u)
#define ADC_SQR1    REG32(0x4001202Cu)
#define ADC_SQR3    REG32(0x40012034u)
#define ADC_DR      0x4001204Cu
#define ADC_CCR     REG32(0x40012304u)

#define RCC_DMA2         (1u << 22)
#define RCC_ADC1         (1u << 8)
#define RCC_TIM3         (1u << 1)
#define TIM_ON           1u
#define TIM_TRIGGER      (2u << 4) /* each update */
#define DMA_FLAGS        0x3Du     /* of stream 0 */
#define DMA_HALF         (1u << 4) /* of LISR */
#define DMA_DONE         (1u << 5)
#define DMA_ON           1u
#define DMA_INTERRUPTS   ((1u << 4) | (1u << 3)) /* of S0CR: done, half */
#define DMA_CIRCULAR     (1u << 8)
#define DMA_HALFWORDS_UP ((1u << 13) | (1u << 11) | (1u << 10))
#define ADC_ON           1u
#define ADC_DMA_ON_TIM3  ((1u << 28) | (8u << 24) | (3u << 8)) /* rising edge, DMA goes on */
#define ADC_CLOCK        (1u << 16)                            /* APB2's, divided by 4 */
#define ADC_SLOW         4u                                    /* 84 cycles of sampling */

#define ADC_STARTS_HZ 300000u /* 3 us */
#define PIN_ANALOG    3u

/* Twice APB1's clock where that is divided (RM0390, 6.2). */
static uint32_t timer_hz(void) {
    uint32_t code = EDGEQ_APB1_PRESCALER;
    bool full_speed = hal_clock_hz() == EDGEQ_CLOCK_HZ; /* else no prescaler was set (port.c) */
    return full_speed && code >= 5u ? hal_clock_hz() >> (code - 4u) : hal_clock_hz();
}

static void adc_on(void) {
    RCC_APB2ENR |= RCC_ADC1;
    (void)RCC_APB2ENR; /* the peripheral's clock needs two cycles before its registers */
    stm32_pin_mode(EDGEQ_CAPTURE_GPIO_BASE, EDGEQ_CAPTURE_PIN, PIN_ANALOG);
    ADC_CCR = ADC_CLOCK;
    ADC_CR1 = 0u; /* 12 bits */
    ADC_CR2 = ADC_ON;
    ADC_SMPR2 = ADC_SLOW << (3u * EDGEQ_CAPTURE_CHANNEL);
    ADC_SQR1 = 0u;
    ADC_SQR3 = EDGEQ_CAPTURE_CHANNEL;
    uint32_t start = hal_cycles();
    while (hal_cycles() - start < hal_clock_hz() / ADC_STARTS_HZ) {
    }
}

static bool dma_on(const uint16_t *halves, uint32_t samples) {
    RCC_AHB1ENR |= RCC_DMA2;
    (void)RCC_AHB1ENR;
    DMA_S0CR = 0u;
    if (!port_wait(&DMA_S0CR, DMA_ON, 0u)) {
        return false;
    }
    DMA_LIFCR = DMA_FLAGS;
    DMA_S0PAR = ADC_DR;
    DMA_S0M0AR = (uint32_t)(uintptr_t)halves;
    DMA_S0NDTR = 2u * samples;
    DMA_S0CR = DMA_HALFWORDS_UP | DMA_CIRCULAR | DMA_INTERRUPTS; /* channel 0 */
    DMA_S0CR |= DMA_ON;
    NVIC_ISER(EDGEQ_CAPTURE_IRQ) = NVIC_BIT(EDGEQ_CAPTURE_IRQ);
    return true;
}

bool capture_start(uint16_t *halves, uint32_t samples, uint32_t rate_hz) {
    uint32_t ticks = rate_hz == 0u ? 0u : (timer_hz() + rate_hz / 2u) / rate_hz;
    if (rate_hz > 96000u || ticks == 0u || ticks > 0x10000u || samples == 0u || samples > 0x7FFFu) {
        return false;
    }
    frames_begin(halves, samples);
    adc_on();
    if (!dma_on(halves, samples)) {
        return false;
    }
    ADC_CR2 = ADC_ON | ADC_DMA_ON_TIM3;
    RCC_APB1ENR |= RCC_TIM3;
    (void)RCC_APB1ENR;
    TIM3_PSC = 0u;
    TIM3_ARR = ticks - 1u;
    TIM3_CR2 = TIM_TRIGGER;
    TIM3_CR1 = TIM_ON;
    return true;
}

void capture_interrupt(void) {
    uint32_t flags = DMA_LISR & (DMA_HALF | DMA_DONE);
    DMA_LIFCR = flags;
    (void)DMA_LISR; /* the clear has reached the peripheral before the return */
    frames_filled((flags & DMA_HALF) != 0u, (flags & DMA_DONE) != 0u);
}

void capture_stop(void) {
    TIM3_CR1 = 0u;
    ADC_CR2 = 0u;
    DMA_S0CR = 0u;
    (void)port_wait(&DMA_S0CR, DMA_ON, 0u);
    NVIC_ICER(EDGEQ_CAPTURE_IRQ) = NVIC_BIT(EDGEQ_CAPTURE_IRQ);
}
