/* STM32L4+: TIM6 triggers ADC1, DMA1's first channel takes it, 16 conversions a sample.
 * Registers: RM0432, chapters 6 (RCC), 11 (DMA), 12 (DMAMUX), 21 (ADC), 39 (TIM6). */
#include "capture/frames.h"
#include "hal.h"
#include "stm32/stm32.h"

#define RCC_AHB1ENR  REG32(0x40021048u)
#define RCC_AHB2ENR  REG32(0x4002104Cu)
#define RCC_APB1ENR1 REG32(0x40021058u)
#define TIM6_CR1     REG32(0x40001000u)
#define TIM6_CR2     REG32(0x40001004u)
#define TIM6_PSC     REG32(0x40001028u)
#define TIM6_ARR     REG32(0x4000102Cu)
#define DMA_ISR      REG32(0x40020000u)
#define DMA_IFCR     REG32(0x40020004u)
#define DMA_CCR      REG32(0x40020008u)
#define DMA_CNDTR    REG32(0x4002000Cu)
#define DMA_CPAR     REG32(0x40020010u)
#define DMA_CMAR     REG32(0x40020014u)
#define DMAMUX_C0CR  REG32(0x40020800u)
#define ADC_ISR      REG32(0x50040000u)
#define ADC_CR       REG32(0x50040008u)
#define ADC_CFGR     REG32(0x5004000Cu)
#define ADC_CFGR2    REG32(0x50040010u)
#define ADC_SMPR1    REG32(0x50040014u)
#define ADC_SMPR2    REG32(0x50040018u)
#define ADC_SQR1     REG32(0x50040030u)
#define ADC_DR       0x50040040u
#define ADC_CCR      REG32(0x50040308u)

#define RCC_DMA          ((1u << 2) | 1u) /* DMAMUX1, DMA1 */
#define RCC_ADC          (1u << 13)
#define RCC_TIM6         (1u << 4)
#define TIM_ON           1u
#define TIM_TRIGGER      (2u << 4) /* each update */
#define DMA_FLAGS        15u       /* of the first channel */
#define DMA_DONE         (1u << 1)
#define DMA_HALF         (1u << 2)
#define DMA_ON           1u
#define DMA_CIRCULAR     (1u << 5)
#define DMA_HALFWORDS_UP ((1u << 10) | (1u << 8) | (1u << 7))
#define DMAMUX_ADC1      5u
#define ADC_READY        1u
#define ADC_ENABLE       1u
#define ADC_DISABLE      (1u << 1)
#define ADC_START        (1u << 2)
#define ADC_STOP         (1u << 4)
#define ADC_REGULATOR    (1u << 28)
#define ADC_CALIBRATE    (1u << 31)
#define ADC_DMA_ON_TIM6  ((1u << 12) | (1u << 10) | (13u << 6) | 3u) /* circular, rising EXT13 */
#define ADC_16_TIMES     ((3u << 2) | 1u)
#define ADC_CLOCK        (3u << 16) /* the core's, divided by 4 */
#define ADC_SLOW         3u         /* 24.5 cycles of sampling, 12.5 of conversion */

#define REGULATOR_STARTS_HZ 50000u           /* 20 us */
#define SAMPLE_CYCLES       (4u * 16u * 37u) /* of the core, at least */

static bool adc_on(void) {
    RCC_AHB2ENR |= RCC_ADC;
    (void)RCC_AHB2ENR; /* the peripheral's clock needs two cycles before its registers */
    ADC_CR = 0u;       /* out of deep power-down */
    ADC_CR = ADC_REGULATOR;
    uint32_t start = hal_cycles();
    while (hal_cycles() - start < hal_clock_hz() / REGULATOR_STARTS_HZ) {
    }
    ADC_CCR = ADC_CLOCK;
    ADC_CR = ADC_REGULATOR | ADC_CALIBRATE;
    if (!port_wait(&ADC_CR, ADC_CALIBRATE, 0u)) {
        return false;
    }
    start = hal_cycles();
    while (hal_cycles() - start < 16u) { /* 4 of its own cycles before it may be enabled */
    }
    ADC_ISR = ADC_READY;
    ADC_CR = ADC_REGULATOR | ADC_ENABLE;
    return port_wait(&ADC_ISR, ADC_READY, ADC_READY);
}

static void adc_configure(void) {
    ADC_CFGR = ADC_DMA_ON_TIM6;
    ADC_CFGR2 = ADC_16_TIMES;
    if (EDGEQ_CAPTURE_CHANNEL < 10u) {
        ADC_SMPR1 = ADC_SLOW << (3u * (EDGEQ_CAPTURE_CHANNEL % 10u));
    } else {
        ADC_SMPR2 = ADC_SLOW << (3u * (EDGEQ_CAPTURE_CHANNEL % 10u));
    }
    ADC_SQR1 = EDGEQ_CAPTURE_CHANNEL << 6;
}

static void dma_on(const uint16_t *halves, uint32_t samples) {
    RCC_AHB1ENR |= RCC_DMA;
    (void)RCC_AHB1ENR;
    DMA_CCR = 0u;
    DMA_IFCR = DMA_FLAGS;
    DMAMUX_C0CR = DMAMUX_ADC1;
    DMA_CPAR = ADC_DR;
    DMA_CMAR = (uint32_t)(uintptr_t)halves;
    DMA_CNDTR = 2u * samples;
    DMA_CCR = DMA_HALFWORDS_UP | DMA_CIRCULAR | DMA_HALF | DMA_DONE | DMA_ON;
    NVIC_ISER(EDGEQ_CAPTURE_IRQ) = NVIC_BIT(EDGEQ_CAPTURE_IRQ);
}

/* TIM6 counts core cycles: APB1 is not divided (port.c). */
bool capture_start(uint16_t *halves, uint32_t samples, uint32_t rate_hz) {
    uint32_t cycles = rate_hz == 0u ? 0u : (hal_clock_hz() + rate_hz / 2u) / rate_hz;
    if (cycles < SAMPLE_CYCLES || cycles > 0x10000u || samples == 0u || samples > 0x7FFFu) {
        return false;
    }
    frames_begin(halves, samples);
    if (!adc_on()) {
        return false;
    }
    adc_configure();
    dma_on(halves, samples);
    ADC_CR = ADC_REGULATOR | ADC_ENABLE | ADC_START;
    RCC_APB1ENR1 |= RCC_TIM6;
    (void)RCC_APB1ENR1;
    TIM6_PSC = 0u;
    TIM6_ARR = cycles - 1u;
    TIM6_CR2 = TIM_TRIGGER;
    TIM6_CR1 = TIM_ON;
    return true;
}

void capture_interrupt(void) {
    uint32_t flags = DMA_ISR & (DMA_HALF | DMA_DONE);
    DMA_IFCR = flags;
    frames_filled((flags & DMA_HALF) != 0u, (flags & DMA_DONE) != 0u);
}

void capture_stop(void) {
    TIM6_CR1 = 0u;
    ADC_CR = ADC_REGULATOR | ADC_ENABLE | ADC_STOP;
    (void)port_wait(&ADC_CR, ADC_STOP, 0u);
    DMA_CCR = 0u;
    NVIC_ICER(EDGEQ_CAPTURE_IRQ) = NVIC_BIT(EDGEQ_CAPTURE_IRQ);
    ADC_CR = ADC_REGULATOR | ADC_DISABLE;
    (void)port_wait(&ADC_CR, ADC_DISABLE, 0u);
}
