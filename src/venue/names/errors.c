/* What the venue says when it refuses.
 *
 * Texts are part of the protocol: clients show them and some compare them. A text with several
 * variables is cut to the span between the first and the last of them (names.h). -1100 names its legal
 * range here, because only two are in use: numbers, and client order ids. Of -4531 and -5047 only
 * the meaning is published. */
#include <stddef.h>

#include "venue/names/names.h"

/* The circled S of the product's name. */
#define USDS "USD\xE2\x93\x88-M"

struct venue_error {
    int code;
    int http;
    const char *text, *alt;
};

/* Descending by code: it is searched by halves. */
static const struct venue_error errors[] = {
    {-1000, 400, "An unknown error occured while processing the request.", NULL},
    {-1001, 503, "Internal error; unable to process your request. Please try again.", NULL},
    {-1002, 400, "You are not authorized to execute this request.", NULL},
    {-1003, 429,
     "Too many requests; current limit is %s requests per minute. Please use the websocket for "
     "live "
     "updates to avoid polling the API.",
     "Way too many requests; IP banned until %s. Please use the websocket for live updates to "
     "avoid "
     "bans."},
    {-1006, 400,
     "An unexpected response was received from the message bus. Execution status unknown.", NULL},
    {-1007, 408,
     "Timeout waiting for response from backend server. Send status unknown; execution status "
     "unknown.",
     NULL},
    {-1008, 503, "Server is currently overloaded with other requests.",
     "Request throttled by system-level protection. Reduce-only/close-position orders are exempt. "
     "Please try again."},
    {-1010, 400, "ERROR_MSG_RECEIVED", NULL},
    {-1011, 400, "This IP cannot access this route.", NULL},
    {-1013, 400, "INVALID_MESSAGE", NULL},
    {-1014, 400, "Unsupported order combination.", NULL},
    {-1015, 429, "Too many new orders; current limit is %s.", NULL},
    {-1016, 400, "This service is no longer available.", NULL},
    {-1020, 400, "This operation is not supported.", NULL},
    {-1021, 400, "Timestamp for this request is outside of the recvWindow.",
     "Timestamp for this request was 1000ms ahead of the server's time."},
    {-1022, 400, "Signature for this request is not valid.", NULL},
    {-1023, 400, "Start time is greater than end time.", NULL},
    {-1099, 400, "Not found, unauthenticated, or unauthorized.", NULL},
    {-1100, 400,
     "Illegal characters found in parameter '%s'; legal range is "
     "'^([0-9]{1,20})(\\.[0-9]{1,20})?$'.",
     "Illegal characters found in parameter '%s'; legal range is "
     "'^[\\.A-Z\\:/a-z0-9_-]{1,36}$'."},
    {-1101, 400, "Too many parameters; expected '%s'.",
     "Duplicate values for a parameter detected."},
    {-1102, 400, "Mandatory parameter '%s' was not sent, was empty/null, or malformed.",
     "Param '%s' must be sent, but both were empty/null!"},
    {-1103, 400, "An unknown parameter was sent.", NULL},
    {-1104, 400, "Not all sent parameters were read; read '%s'.", NULL},
    {-1105, 400, "Parameter '%s' was empty.", NULL},
    {-1106, 400, "Parameter '%s' sent when not required.", NULL},
    {-1108, 400, "Invalid asset.", NULL},
    {-1109, 400, "Invalid account.", NULL},
    {-1110, 400, "Invalid symbolType.", NULL},
    {-1111, 400, "Precision is over the maximum defined for this asset.", NULL},
    {-1112, 400, "No orders on book for symbol.", NULL},
    {-1114, 400, "TimeInForce parameter sent when not required.", NULL},
    {-1115, 400, "Invalid timeInForce.", NULL},
    {-1116, 400, "Invalid orderType.", NULL},
    {-1117, 400, "Invalid side.", NULL},
    {-1118, 400, "New client order ID was empty.", NULL},
    {-1119, 400, "Original client order ID was empty.", NULL},
    {-1120, 400, "Invalid interval.", NULL},
    {-1121, 400, "Invalid symbol.", NULL},
    {-1122, 400, "Invalid symbol status.", NULL},
    {-1125, 400,
     "This listenKey does not exist. Please use `POST /fapi/v1/listenKey` to recreate `listenKey`",
     NULL},
    {-1126, 400, "This asset is not supported.", NULL},
    {-1127, 400, "More than %s hours between startTime and endTime.", NULL},
    {-1128, 400, "Combination of optional parameters invalid.", NULL},
    {-1130, 400, "Data sent for parameter '%s' is not valid.", NULL},
    {-1136, 400, "Invalid newOrderRespType.", NULL},

    {-2010, 400, "NEW_ORDER_REJECTED", NULL},
    {-2011, 400, "Unknown order sent.", "CANCEL_REJECTED"},
    {-2012, 400, "Batch cancel failure.", NULL},
    {-2013, 400, "Order does not exist.", NULL},
    {-2014, 401, "API-key format invalid.", NULL},
    {-2015, 401, "Invalid API-key, IP, or permissions for action.", NULL},
    {-2016, 400, "No trading window could be found for the symbol. Try ticker/24hrs instead.",
     NULL},
    {-2017, 400, "API Keys are locked on this account.", NULL},
    {-2018, 400, "Balance is insufficient.", NULL},
    {-2019, 400, "Margin is insufficient.", NULL},
    {-2020, 400, "Unable to fill.", NULL},
    {-2021, 400, "Order would immediately trigger.", NULL},
    {-2022, 400, "ReduceOnly Order is rejected.", NULL},
    {-2023, 400, "User in liquidation mode now.", NULL},
    {-2024, 400, "Position is not sufficient.", NULL},
    {-2025, 400, "Reach max open order limit.", NULL},
    {-2026, 400, "This OrderType is not supported when reduceOnly.", NULL},
    {-2027, 400, "Exceeded the maximum allowable position at current leverage.", NULL},
    {-2028, 400, "Leverage is smaller than permitted: insufficient margin balance.", NULL},

    {-4000, 400, "Invalid order status.", NULL},
    {-4001, 400, "Price less than 0.", NULL},
    {-4002, 400, "Price greater than max price.", NULL},
    {-4003, 400, "Quantity less than zero.", "Quantity less than or equal to zero."},
    {-4004, 400, "Quantity less than min quantity.", NULL},
    {-4005, 400, "Quantity greater than max quantity.", NULL},
    {-4006, 400, "Stop price less than zero.", NULL},
    {-4007, 400, "Stop price greater than max price.", NULL},
    {-4013, 400, "Price less than min price.", NULL},
    {-4014, 400, "Price not increased by tick size.", NULL},
    {-4015, 400, "Client order id is not valid.",
     "Client order id length should not be more than 36 chars"},
    {-4016, 400, "Price is higher than mark price multiplier cap.",
     "Limit price can't be higher than %s."},
    {-4020, 400, "Target strategy invalid for orderType '%s'.", NULL},
    {-4021, 400, "'%s' is not valid depth limit.", NULL},
    {-4023, 400, "Qty not increased by step size.", NULL},
    {-4024, 400, "Price is lower than mark price multiplier floor.",
     "Limit price can't be lower than %s."},
    {-4028, 400, "Leverage %s is not valid", NULL},
    {-4031, 400, "Invalid parameter working type: %s", NULL},
    {-4032, 400, "Exceed maximum cancel order size.", NULL},
    {-4044, 400, "Balance Type is invalid.", NULL},
    {-4045, 400, "Reach max stop order limit.", NULL},
    {-4046, 400, "No need to change margin type.", NULL},
    {-4047, 400, "Margin type cannot be changed if there exists open orders.", NULL},
    {-4048, 400, "Margin type cannot be changed if there exists position.", NULL},
    {-4049, 400, "Add margin only support for isolated position.", NULL},
    {-4050, 400, "Cross balance insufficient.", NULL},
    {-4051, 400, "Isolated balance insufficient.", NULL},
    {-4052, 400, "No need to change auto add margin.", NULL},
    {-4053, 400, "Auto add margin only support for isolated position.", NULL},
    {-4054, 400, "Cannot add position margin: position is 0.", NULL},
    {-4055, 400, "Amount must be positive.", NULL},
    {-4056, 400, "Invalid api key type.", NULL},
    {-4057, 400, "Invalid api public key", NULL},
    {-4059, 400, "No need to change position side.", NULL},
    {-4060, 400, "Invalid position side.", NULL},
    {-4061, 400, "Order's position side does not match user's setting.", NULL},
    {-4062, 400, "Invalid or improper reduceOnly value.", NULL},
    {-4067, 400, "Position side cannot be changed if there exists open orders.", NULL},
    {-4068, 400, "Position side cannot be changed if there exists position.", NULL},
    {-4082, 400, "Invalid number of batch place orders: %s", NULL},
    {-4083, 400, "Fail to place batch orders.", NULL},
    {-4087, 400, "User can only place reduce only order", NULL},
    {-4088, 400, "User can not place order currently", NULL},
    {-4104, 400, "Invalid contract type", NULL},
    {-4109, 400, "Inactive account", NULL},
    {-4114, 400, "clientTranId is not valid", NULL},
    {-4115, 400, "clientTranId is duplicated", NULL},
    {-4116, 400, "clientOrderId is duplicated", NULL},
    {-4117, 400, "stop order is triggering", NULL},
    {-4118, 400, "ReduceOnly Order Failed. Please check your existing position and open orders",
     NULL},
    {-4120, 400,
     "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
     NULL},
    {-4130, 400,
     "An open stop or take profit order with GTE and closePosition in the direction is existing.",
     NULL},
    {-4131, 400, "The counterparty's best price does not meet the PERCENT_PRICE filter limit",
     NULL},
    {-4135, 400, "Invalid activation price", NULL},
    {-4137, 400, "Quantity must be zero with closePosition equals true", NULL},
    {-4138, 400, "Reduce only must be true with closePosition equals true", NULL},
    {-4139, 400, "Order type can not be market if it's unable to cancel", NULL},
    {-4140, 400, "Invalid symbol status for opening position", NULL},
    {-4141, 400, "Symbol is closed", NULL},
    {-4142, 400, "REJECT: take profit or stop order will be triggered immediately", NULL},
    {-4144, 400, "Invalid pair", NULL},
    {-4161, 400, "Leverage reduction is not supported in Isolated Margin Mode with open positions",
     NULL},
    {-4164, 400, "Order's notional must be no smaller than %s (unless you choose reduce only)",
     NULL},
    {-4165, 400, "Invalid time interval", "Maximum time interval is %s days"},
    {-4167, 400,
     "Unable to adjust to Multi-Assets mode with symbols of " USDS
     " Futures under isolated-margin mode.",
     NULL},
    {-4168, 400, "Unable to adjust to isolated-margin mode under the Multi-Assets mode.", NULL},
    {-4169, 400,
     "Unable to adjust Multi-Assets Mode with insufficient margin balance in " USDS " Futures.",
     NULL},
    {-4170, 400, "Unable to adjust Multi-Assets Mode with open orders in " USDS " Futures.", NULL},
    {-4171, 400,
     "Adjusted asset mode is currently set and does not need to be adjusted repeatedly.", NULL},
    {-4172, 400,
     "Unable to adjust Multi-Assets Mode with a negative wallet balance of margin available asset "
     "in " USDS " Futures account.",
     NULL},
    {-4183, 400, "Limit price can't be higher than %s.",
     "Price is higher than stop price multiplier cap."},
    {-4184, 400, "Limit price can't be lower than %s.",
     "Price is lower than stop price multiplier floor."},
    {-4192, 400, "Trade forbidden due to Cooling-off Period.", NULL},
    {-4202, 400, "Intermediate Personal Verification is required for adjusting leverage over 20x",
     NULL},
    {-4203, 400, "More than 20x leverage is available one month after account registration.", NULL},
    {-4205, 400, "More than 20x leverage is available %s days after Futures account registration.",
     NULL},
    {-4206, 400, "Users in this country has limited adjust leverage.",
     "Users in your location/country can only access a maximum leverage of %s"},
    {-4208, 400,
     "Current symbol leverage cannot exceed 20 when using position limit adjustment service.",
     NULL},
    {-4209, 400, "The max leverage of Symbol is 20x",
     "Leverage adjustment failed. Current symbol max leverage limit is %sx"},
    {-4210, 400, "Stop price can't be higher than %s",
     "Stop price is higher than price multiplier cap."},
    {-4211, 400, "Stop price can't be lower than %s",
     "Stop price is lower than price multiplier floor."},
    {-4400, 400,
     "Futures Trading Quantitative Rules violated, only reduceOnly order is allowed, please try "
     "again later.",
     NULL},
    {-4401, 400,
     "Futures Trading Risk Control Rules of large position holding violated, only reduceOnly order "
     "is allowed, please reduce the position.",
     NULL},
    {-4531, 400, "Position mode cannot be changed at the moment.", NULL},

    {-5000, 404, "Path %s is invalid", NULL},
    {-5021, 400,
     "Due to the order could not be filled immediately, the FOK order has been rejected. The order "
     "will not be recorded in the order history",
     NULL},
    {-5022, 400,
     "Due to the order could not be executed as maker, the Post Only order will be rejected. The "
     "order will not be recorded in the order history",
     NULL},
    {-5024, 400, "Symbol is not in trading status. Order amendment is not permitted.", NULL},
    {-5025, 400, "Only limit order is supported.", NULL},
    {-5026, 400, "Exceed maximum modify order limit.", NULL},
    {-5027, 400, "No need to modify the order.", NULL},
    {-5028, 400, "Timestamp for this request is outside of the ME recvWindow.", NULL},
    {-5029, 400, "Order's notional must be no smaller than %s", NULL},
    {-5037, 400, "Invalid price match", NULL},
    {-5038, 400, "Price match only supports order type: LIMIT, STOP AND TAKE_PROFIT", NULL},
    {-5039, 400, "Invalid self trade prevention mode", NULL},
    {-5040, 400,
     "The goodTillDate timestamp must be greater than the current time plus 600 seconds and "
     "smaller "
     "than 253402300799000",
     NULL},
    {-5041, 400, "No depth matches this BBO order", NULL},
    {-5043, 400, "A pending modification already exists for this order.", NULL},
    {-5047, 400, "reduceOnly cannot be set when the original order is not reduce-only.", NULL},
};

enum { ERROR_COUNT = sizeof errors / sizeof *errors };

static const struct venue_error *error_find(int code) {
    size_t low = 0, high = ERROR_COUNT;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (errors[middle].code == code) return &errors[middle];
        if (errors[middle].code > code)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const char *venue_error_text(int code) {
    const struct venue_error *e = error_find(code);
    return e ? e->text : NULL;
}

const char *venue_error_text_alt(int code) {
    const struct venue_error *e = error_find(code);
    return e ? e->alt : NULL;
}

int venue_error_http(int code) {
    const struct venue_error *e = error_find(code);
    return e ? e->http : 400;
}

int venue_error_code(size_t i) {
    return i < ERROR_COUNT ? errors[i].code : 0;
}
