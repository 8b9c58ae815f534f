// The contenders of Node, one batch for each line on standard input:
//   {"do": "prepare", "algorithm", "private", "public", "secret", "claims": [...], "tokens": [...], "bad": [...], "issuer"} → {"contenders": [...]}
//   {"do": "run", "contender", "work": "sign" | "verify"}                                          → {"micros": n}
import { createPrivateKey, createPublicKey, createSecretKey } from "node:crypto";
import { createInterface } from "node:readline";
import { createSigner, createVerifier } from "fast-jwt";
import * as jose from "jose";
import jsonwebtoken from "jsonwebtoken";

let tokens, claims, contenders;

const prepare = (given) => {
    ({ tokens, claims } = given);
    contenders = {};
    const { algorithm, issuer } = given;
    const secret = given.secret && Buffer.from(given.secret, "base64");
    const signing = secret ? createSecretKey(secret) : createPrivateKey(given.private);
    const verifying = secret ? signing : createPublicKey(given.public);
    const expected = { algorithms: [algorithm], issuer, audience: issuer };
    if (algorithm !== "EdDSA") {
        const header = { typ: "at+jwt", alg: algorithm };
        contenders["jsonwebtoken"] = {
            sign: (payload) => jsonwebtoken.sign({ ...payload }, signing, { algorithm, header }),
            verify: (token) => jsonwebtoken.verify(token, verifying, expected),
        };
    }
    contenders["jose (Node)"] = {
        sign: (payload) => new jose.SignJWT(payload).setProtectedHeader({ alg: algorithm, typ: "at+jwt" }).sign(signing),
        verify: (token) => jose.jwtVerify(token, verifying, { ...expected, requiredClaims: ["exp"] }),
    };
    const sign = createSigner({ key: secret ?? given.private, algorithm, header: { typ: "at+jwt" } });
    const fast = (cache) => createVerifier({
        key: secret ?? given.public, algorithms: [algorithm], allowedIss: issuer, allowedAud: issuer, cache,
        requiredClaims: ["exp", "iss", "aud"],
    });
    contenders["fast-jwt"] = { sign, verify: fast(false) };
    contenders["fast-jwt, cached"] = { verify: fast(true) };
};

const mustRefuse = async (verify, token) => {
    try {
        await verify(token);
    } catch {
        return;
    }
    throw new Error("a bad token was accepted");
};

// what is cached takes so little time that one look at each token would be too short to measure
const items = ({ contender, work }) => {
    if (work === "sign") return claims;
    return contender.endsWith("cached") ? Array(10).fill(tokens).flat() : tokens;
};

const PIECE = 300, TRIES = 20; // as in rounds.py, which says why
const interruptions = () => process.resourceUsage().involuntaryContextSwitches;
const sizes = new Map();

const timed = async (act, piece) => {
    const before = interruptions();
    const started = process.hrtime.bigint();
    for (const item of piece) {
        const result = act(item);
        if (result instanceof Promise) await result;
    }
    const taken = Number(process.hrtime.bigint() - started) / 1000 / piece.length;
    return { taken, whole: interruptions() === before };
};

const micros = async (act, every) => {
    let size = sizes.get(act) ?? 1, pieces, whole;
    for (let attempt = 0; attempt < TRIES; attempt++) {
        pieces = [];
        await act(every[0]);
        for (let start = 1; start < every.length; start += size) {
            pieces.push(await timed(act, every.slice(start, start + size)));
        }
        whole = pieces.filter((piece) => piece.whole);
        if (whole.length > 0) break;
        size = Math.max(1, Math.floor(size / 2));
    }
    const sorted = (whole.length > 0 ? whole : pieces).map(({ taken }) => taken).sort((a, b) => a - b);
    const typical = whole.length > 0 ? sorted[Math.floor(sorted.length / 2)] : sorted[0];
    sizes.set(act, Math.max(1, Math.floor(PIECE / typical)));
    return typical;
};

for await (const line of createInterface({ input: process.stdin })) {
    const given = JSON.parse(line);
    let answer;
    if (given.do === "prepare") {
        prepare(given);
        for (const { verify } of Object.values(contenders)) for (const token of given.bad) await mustRefuse(verify, token);
        answer = { contenders: Object.fromEntries(Object.entries(contenders).map(([name, made]) => [name, Object.keys(made)])) };
    } else {
        answer = { micros: await micros(contenders[given.contender][given.work], items(given)) };
    }
    console.log(JSON.stringify(answer));
}
