<?php
// A home page whose banner Segue decides on, over plain HTTP: php -S 127.0.0.1:8092 index.php
declare(strict_types=1);

const TIMEOUT_MS = 300; // for the whole answer; Segue itself takes 200 ms at most
const USUAL = ['headline' => 'New arrivals this week', 'link' => '/collections/new'];

$segue = getenv('SEGUE') ?: 'http://127.0.0.1:8080';
$secretKey = getenv('SEGUE_SECRET_KEY') ?: 'demo-secret-key';

/** Who asks: the cookie of segue.js (`data-cookie`) is there once the visitor has agreed. */
function visitor(): ?string
{
    $cookie = $_COOKIE['segue_anonymous_id'] ?? null;
    return is_string($cookie) && preg_match('/^[\w.-]{1,100}$/D', $cookie) ? $cookie : null;
}

/** What fills the slot; the usual content where Segue does not answer, or not in time. */
function hero(string $segue, string $secretKey, string $visitor): array
{
    $request = curl_init("$segue/v1/decide");
    curl_setopt_array($request, [
        CURLOPT_HTTPHEADER => ["Authorization: Bearer $secretKey", 'Content-Type: application/json'],
        CURLOPT_POSTFIELDS => json_encode([
            'profile' => ['anonymous_id' => $visitor],
            'slots' => ['homepage-hero'],
            'deadline_ms' => 200,
        ]),
        CURLOPT_TIMEOUT_MS => TIMEOUT_MS,
        CURLOPT_NOSIGNAL => true,
        CURLOPT_RETURNTRANSFER => true,
    ]);
    $answer = curl_exec($request);
    if (!is_string($answer) || curl_getinfo($request, CURLINFO_RESPONSE_CODE) !== 200) {
        return USUAL;
    }
    $decided = json_decode($answer, true);
    return ($decided['homepage-hero']['content'] ?? []) + USUAL;
}

$visitor = visitor();
$hero = $visitor === null ? USUAL : hero($segue, $secretKey, $visitor);
$link = preg_match('#^(/|https?://)#', $hero['link']) ? $hero['link'] : USUAL['link'];
header('Cache-Control: private, no-store'); // it is one visitor's page: no cache may keep it for others
header('Vary: Cookie');
?>
<!doctype html>
<html lang="en">
<title>Shop</title>
<script async src="<?= htmlspecialchars($segue) ?>/segue.js" data-key="demo-write-key" data-cookie></script>
<main><h1><?= htmlspecialchars($hero['headline']) ?></h1><a href="<?= htmlspecialchars($link) ?>">Have a look</a></main>
</html>
